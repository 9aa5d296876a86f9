package configs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Change is a setting that has another value than was recorded. Values are JSON, and "" where the setting is not there.
type Change struct{ Key, Was, Is string }

// Changes compares the experiment's settings with what Canonical wrote of them earlier, key by key, in the order of the
// keys. Lists are one value.
func (e *Experiment) Changes(recorded []byte) ([]Change, error) {
	was, is := map[string]string{}, map[string]string{}
	if err := flatten(was, "", recorded); err != nil {
		return nil, fmt.Errorf("recorded settings: %w", err)
	}
	if err := flatten(is, "", e.Canonical()); err != nil {
		return nil, err
	}
	keys := maps.Clone(was)
	maps.Copy(keys, is)
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if was[key] != is[key] {
			changes = append(changes, Change{key, was[key], is[key]})
		}
	}
	return changes, nil
}

// flatten adds every value of an object, nested ones included, under its key as experiment files name it.
func flatten(into map[string]string, table string, object []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return err
	}
	for name, value := range fields {
		key := name
		if table != "" {
			key = table + "." + name
		}
		if value[0] != '{' {
			into[key] = string(value)
		} else if err := flatten(into, key, value); err != nil {
			return err
		}
	}
	return nil
}
