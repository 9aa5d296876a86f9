package configs

import (
	"embed"
	"fmt"
)

//go:embed presets/*.toml
var presets embed.FS

// Presets lists the names of the built-in experiment files.
func Presets() []string { return tomlNames(presets, "presets") }

// PresetText is the text of a built-in experiment file, to be saved and changed.
func PresetText(name string) ([]byte, error) {
	data, err := presets.ReadFile("presets/" + name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("no preset is named %q: %s", name, suggest(name, Presets(), "presets"))
	}
	return data, nil
}

// Preset is a built-in experiment file.
func Preset(name string) (*File, error) {
	data, err := PresetText(name)
	if err != nil {
		return nil, err
	}
	return Parse(data, "preset:"+name)
}
