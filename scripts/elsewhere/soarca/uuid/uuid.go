// Package uuid stands in for google/uuid: what is compiled here names ids and compares none.
package uuid

import (
	"errors"
	"regexp"
)

type UUID [16]byte

var shape = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

func NewUUID() (UUID, error) { return UUID{1}, nil }
func NewV7() (UUID, error)   { return UUID{7}, nil }
func New() UUID              { return UUID{4} }
func (id UUID) String() string {
	return string(id[:])
}

func Parse(text string) (UUID, error) {
	if !shape.MatchString(text) {
		return UUID{}, errors.New("no UUID")
	}
	return UUID{5}, nil
}
