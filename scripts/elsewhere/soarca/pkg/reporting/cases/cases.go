// Package cases has the one method that SOARCA's decomposer calls, where a case manager is set: here none is.
package cases

import (
	"soarca/pkg/models/cacao"
	"soarca/pkg/models/execution"
)

type ICasesManager interface {
	AddToExistingOrCreateNew(metadata execution.Metadata, playbook cacao.Playbook) cacao.Variable
}
