// Reads playbooks with SOARCA's own model and checks, runs them by its own decomposer, and writes down which actions that runs.
package main

import (
	"encoding/json"
	"os"
	"time"

	"soarca/pkg/core/decomposer"
	"soarca/pkg/core/executors"
	"soarca/pkg/models/cacao"
	"soarca/pkg/models/decoder"
	"soarca/pkg/models/execution"
	"soarca/pkg/models/validator"
	"soarca/pkg/utils/guid"

	"github.com/google/uuid"
)

type recorder struct{ ran []string }

func (r *recorder) Execute(metadata execution.Metadata, _ executors.PlaybookStepMetadata) (cacao.Variables, error) {
	r.ran = append(r.ran, metadata.StepId)
	return cacao.NewVariables(), nil
}

type playbooks struct{ *recorder }

func (p playbooks) Execute(metadata execution.Metadata, _ cacao.Step, _ cacao.Variables) (cacao.Variables, error) {
	p.ran = append(p.ran, metadata.StepId)
	return cacao.NewVariables(), nil
}

type silent struct{}

func (silent) ReportWorkflowStart(uuid.UUID, cacao.Playbook, time.Time)                   {}
func (silent) ReportWorkflowEnd(uuid.UUID, cacao.Playbook, error, time.Time)              {}
func (silent) Now() time.Time                                                             { return time.Unix(0, 0) }
func (silent) Sleep(time.Duration)                                                        {}

// Each condition is true once, so that every branch is gone into and no loop goes on.
type once struct{ seen map[string]bool }

func (o once) Execute(metadata execution.Metadata, context executors.Context) (string, bool, error) {
	if o.seen[metadata.StepId] {
		return context.Step.OnCompletion, false, nil
	}
	o.seen[metadata.StepId] = true
	if context.Step.OnTrue == "" {
		return context.Step.OnCompletion, false, nil
	}
	return context.Step.OnTrue, true, nil
}

type told struct {
	File  string   `json:"file"`
	Error string   `json:"error"`
	Steps int      `json:"steps"`
	Ran   []string `json:"ran"`
}

func main() {
	answers := []told{}
	for _, file := range os.Args[1:] {
		answer := told{File: file, Ran: []string{}}
		raw, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		var plain cacao.Playbook
		if err := json.Unmarshal(raw, &plain); err != nil {
			answer.Error = err.Error()
		} else if playbook := decoder.DecodeValidate(raw); playbook == nil {
			if err := validator.IsSafeCacaoWorkflow(&plain); err != nil {
				answer.Error = err.Error()
			} else {
				answer.Error = "refused"
			}
		} else {
			record := &recorder{}
			answer.Steps = len(playbook.Workflow)
			runner := decomposer.New(record, playbooks{record}, once{map[string]bool{}}, &guid.Guid{}, silent{}, silent{})
			if _, err := runner.Execute(*playbook); err != nil {
				answer.Error = err.Error()
			}
			answer.Ran = append(answer.Ran, record.ran...)
		}
		answers = append(answers, answer)
	}
	_ = json.NewEncoder(os.Stdout).Encode(answers)
}
