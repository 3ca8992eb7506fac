// Package reporter has the interfaces of SOARCA's alone: whoever listens is told nothing here.
package reporter

import (
	"soarca/pkg/models/cacao"
	"time"

	"github.com/google/uuid"
)

type IWorkflowReporter interface {
	ReportWorkflowStart(executionId uuid.UUID, playbook cacao.Playbook, at time.Time)
	ReportWorkflowEnd(executionId uuid.UUID, playbook cacao.Playbook, workflowError error, at time.Time)
}
type IStepReporter interface {
	ReportStepStart(executionId uuid.UUID, step cacao.Step, returnVars cacao.Variables, at time.Time)
	ReportStepEnd(executionId uuid.UUID, step cacao.Step, returnVars cacao.Variables, stepError error, at time.Time)
}
