package configs

import (
	"embed"
	"strings"
)

//go:embed presets/search/*.toml
var searchPresets embed.FS

// SearchPresets lists the names that search.preset may have.
func SearchPresets() []string { return tomlNames(searchPresets, "presets/search") }

// setSearch applies a preset before the keys that are written beside it, wherever in the table it stands.
func (d Decoder) setSearch(e *Experiment, s setting) error {
	if table, ok := s.value.(map[string]any); ok && table["preset"] != nil {
		if err := d.applyPreset(e, s.child("preset")); err != nil {
			return err
		}
	}
	return d.apply(e, s, d.searchFields(), s.key)
}

// applyPreset sets what a preset names; the number of generations, if it leaves that out, is decided by the search space.
// What is wrong with its values, for this experiment, is reported where the preset is named.
func (d Decoder) applyPreset(e *Experiment, s setting) error {
	name, err := s.choice(SearchPresets())
	if err != nil {
		return err
	}
	data, err := searchPresets.ReadFile("presets/search/" + name + ".toml")
	if err != nil {
		panic(err) // the file is part of the program
	}
	_, root, err := parseTOML(data, "preset:"+name)
	if err != nil {
		return err
	}
	root.key = "search"
	e.Search.Generations = 0
	if err := d.apply(e, root, d.searchFields(), "the preset"); err != nil {
		return err
	}
	for _, key := range root.children() {
		e.at[key.key] = s.mark
	}
	return nil
}

// tomlNames are the names of the .toml files in a folder of the program, sorted.
func tomlNames(files embed.FS, folder string) []string {
	entries, err := files.ReadDir(folder)
	if err != nil {
		panic(err) // the folder is part of the program
	}
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".toml"); ok {
			names = append(names, name)
		}
	}
	return names
}
