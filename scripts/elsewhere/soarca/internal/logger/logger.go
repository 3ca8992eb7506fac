// Package logger stands in for SOARCA's, which needs a library that is not in the standard one. It is silent.
package logger

type Severity int
type Format int
type Log struct{}

const (
	Panic Severity = iota
	Fatal
	Error
	Warning
	Info
	Debug
	Trace
)
const (
	Json Format = iota
	Text
)

func Logger(string, Severity, string, Format) *Log { return &Log{} }

func (*Log) Error(...any)          {}
func (*Log) Errorf(string, ...any) {}
func (*Log) Warn(...any)           {}
func (*Log) Warning(...any)        {}
func (*Log) Info(...any)           {}
func (*Log) Infof(string, ...any)  {}
func (*Log) Debug(...any)          {}
func (*Log) Debugf(string, ...any) {}
func (*Log) Trace(...any)          {}
func (*Log) Tracef(string, ...any) {}
