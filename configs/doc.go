// Package configs turns an experiment file (TOML) into typed experiments: schema, defaults and validation, all before
// anything starts. Every mistake gives one [Error] with the file, the line, the reason and what to write instead.
//
// A file has one optional [defaults] table and one [[experiment]] per experiment. [defaults] merges into every
// experiment key by key, nested tables included; what neither gives takes the values of defaults.go. The keys are
// described in docs/experiments.md.
//
// TOML itself is read by github.com/BurntSushi/toml. That package keeps no positions of decoded values, so marks.go
// reads the source once more for them alone.
package configs
