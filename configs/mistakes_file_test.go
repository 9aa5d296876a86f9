package configs

// fileMistakes are mistakes of syntax, keys and plain values.
var fileMistakes = []mistake{
	{"empty", "",
		` the file is empty: write at least one [[experiment]] with name, levels and budget`},
	{"only white space", `
  `,
		` the file is empty: write at least one [[experiment]] with name, levels and budget`},
	{"only a comment", `# nothing yet`,
		` there is no experiment in the file: write [[experiment]] on a line of its own, then its keys: name, levels, budget`},
	{"no experiment", `[defaults]
seeds = [1]`,
		` there is no experiment in the file: write [[experiment]] on a line of its own, then its keys: name, levels, budget`},
	{"empty experiment list", `experiment = []`,
		`1:1: experiment is an empty list: write [[experiment]] on a line of its own, then its keys: name, levels, budget`},
	{"experiment without brackets twice", `[experiment]
name = "a"`,
		`1:1: experiment is a table: write [[experiment]], with two brackets each side`},
	{"experiment is a number", `experiment = 3`,
		`1:1: experiment is 3: write [[experiment]], with two brackets each side`},
	{"experiment list of numbers", `experiment = [1, 2]`,
		`1:15: [[experiment]] is 1: write a table with some of the keys "name", "seeds", "model", "calibration", "evaluation", "statistics", "target", "levels", "levels_for", "same", "protect", "budget", "search"`},
	{"unknown table", `[default]
seeds = [1]
[[experiment]]
name = "a"`,
		`1:1: unknown key "default" at the top of the file: did you mean "defaults"? (the keys here are "defaults", "experiment")`},
	{"search at the top", `[search]
generations = 3`,
		`1:1: unknown key "search" at the top of the file: it belongs to an experiment: write [experiment.search] below [[experiment]]`},
	{"two kinds of experiment", `[experiment]
name = "a"
[[experiment]]
name = "b"`,
		`3:3: this is not valid TOML: Key 'experiment' was already created and cannot be used as an array: keep one of them; experiments all start with [[experiment]]`},
	{"text without quotes", `[[experiment]]
name = bits`,
		`2:8: this is not valid TOML: expected value but found "bits" instead: write a value: text in double quotes, a number, true or false, a list or a table`},
	{"open text", `[[experiment]]
name = "bits
levels = ["drop"]`,
		`2:13: this is not valid TOML: strings cannot contain newlines: close the text with a quote on the same line`},
	{"open text at the end", `[[experiment]]
name = "bits`,
		`2:12: this is not valid TOML: unexpected EOF; expected '"': close the text with a quote`},
	{"open list", `[[experiment]]
seeds = [1, 2`,
		`2:13: this is not valid TOML: expected a comma (',') or array terminator (']'), but got end of file: put a comma between values and close the bracket`},
	{"key without value", `[[experiment]]
name
seeds = [1]`,
		`2:5: this is not valid TOML: expected '.' or '=', but got '\n' instead: write key = value`},
	{"key without value at the end", `[[experiment]]
name`,
		`2:4: this is not valid TOML: unexpected EOF; expected key separator '=': write key = value`},
	{"key with nothing after", `[[experiment]]
name =
seeds = [1]`,
		`2:7: this is not valid TOML: expected value but found '\n' instead: write a value: text in double quotes, a number, true or false, a list or a table`},
	{"key with nothing after at the end", `[[experiment]]
name =`,
		`2:6: this is not valid TOML: unexpected EOF; expected value: write a value: text in double quotes, a number, true or false, a list or a table`},
	{"key twice", `[[experiment]]
name = "a"
name = "b"`,
		`3:1: this is not valid TOML: Key 'experiment.name' has already been defined: keep one of them`},
	{"two keys on a line", `[[experiment]]
name = "a" seeds = [1]`,
		`2:11: this is not valid TOML: expected a top-level item to end with a newline, comment, or EOF, but got 's' instead: start a new line`},
	{"backslash", head + `model = "C:\models\x.gguf"`,
		`3:10: this is not valid TOML: invalid escape in string '\m': write \\ for a backslash, or put the text in single quotes`},
	{"leading zero", `[[experiment]]
seeds = [01]`,
		`2:10: this is not valid TOML: Invalid integer "01": cannot have leading zeroes: write the number without them`},
	{"huge number", `[[experiment]]
seeds = [99999999999999999999]`,
		`2:10: this is not valid TOML: 99999999999999999999 is out of range for int64: write a smaller number`},
	{"bad header", `[[experiment]
name = "a"`,
		`1:13: this is not valid TOML: expected end of table array name delimiter ']', but got '\n' instead: write [[name]]`},
	{"not UTF-8", "[[experiment]]\nname = \"\xff\"\n",
		`2:9: the byte 0xff is not UTF-8: save the file as UTF-8`},
	{"unknown key", head + `levels = ["drop"]
budget = { drop = 0.25 }
sedes = [1]`,
		`5:1: unknown key "sedes" in [[experiment]]: did you mean "seeds"? (the keys here are "name", "seeds", "model", "calibration", "evaluation", "statistics", "target", "levels", "levels_for", "same", "protect", "budget", "search")`},
	{"unknown key far from all", head + `colour = "red"`,
		`3:1: unknown key "colour" in [[experiment]]: the keys here are "name", "seeds", "model", "calibration", "evaluation", "statistics", "target", "levels", "levels_for", "same", "protect", "budget", "search"`},
	{"unknown key in defaults", `[defaults]
modell = "x"`,
		`2:1: unknown key "modell" in [defaults]: did you mean "model"? (the keys here are "seeds", "model", "calibration", "evaluation", "statistics", "target", "levels", "levels_for", "same", "protect", "budget", "search")`},
	{"name in defaults", `[defaults]
name = "x"`,
		`2:1: unknown key "name" in [defaults]: it belongs to an experiment: write it right below [[experiment]]`},
	{"unknown key in search", head + `[experiment.search]
generatons = 40`,
		`4:1: unknown key "generatons" in search: did you mean "generations"? (the keys here are "preset", "method", "generations", "offspring", "survivors", "tokens", "fitness", "top_k", "starts", "start", "start_tokens", "group", "whole_blocks")`},
	{"unknown dotted key", head + `search.ofspring = 3`,
		`3:8: unknown key "ofspring" in search: did you mean "offspring"? (the keys here are "preset", "method", "generations", "offspring", "survivors", "tokens", "fitness", "top_k", "starts", "start", "start_tokens", "group", "whole_blocks")`},
	{"unknown key in budget", head + `budget = { bits = 3.5 }`,
		`3:12: unknown key "bits" in budget: the keys here are "bits_per_weight", "bytes", "sparsity", "drop", "latency_ms", "latency_table"`},
	{"unknown key in budget, another", head + `budget = { seconds = 3 }`,
		`3:12: unknown key "seconds" in budget: the keys here are "bits_per_weight", "bytes", "sparsity", "drop", "latency_ms", "latency_table"`},
	{"unknown key in calibration", head + `calibration = { token = 512 }`,
		`3:17: unknown key "token" in calibration: did you mean "tokens"? (the keys here are "data", "tokens", "sequence")`},
	{"unknown key in a ladder", head + `levels = { sparse = { centre = 0.6 } }`,
		`3:23: unknown key "centre" in levels.sparse: did you mean "center"? (the keys here are "center", "step_weights", "count")`},
	{"unknown key in levels", head + `levels = { spares = { center = 0.6 } }`,
		`3:12: unknown key "spares" in levels: did you mean "sparse"? (the keys here are "sparse")`},
	{"key of another table", head + `generations = 40`,
		`3:1: unknown key "generations" in [[experiment]]: write search.generations, within an experiment`},
	{"ladder in the wrong place", head + `sparse = { center = 0.6 }`,
		`3:1: unknown key "sparse" in [[experiment]]: write levels.sparse, within an experiment`},
	{"key of the experiment in search", head + `search = { seeds = [1] }`,
		`3:12: unknown key "seeds" in search: it belongs to an experiment: write it right below [[experiment]]`},
	{"no name", `[[experiment]]
levels = ["drop"]
budget = { drop = 0.25 }`,
		`1:1: the experiment has no name: write name = "…" below [[experiment]]`},
	{"name is a number", `[[experiment]]
name = 3`,
		`2:1: name is 3: write text such as "bits-3.5"`},
	{"name is empty", `[[experiment]]
name = ""`,
		`2:1: name is "": write text such as "bits-3.5"`},
	{"name with a slash", `[[experiment]]
name = "a/b"`,
		`2:1: name is "a/b": write a name that fits a file, such as "bits-3.5": up to 64 letters, digits, ".", "_" or "-", with a letter or digit first and no dot last`},
	{"name that Windows keeps", `[[experiment]]
name = "nul.1"`,
		`2:1: name is "nul.1": write a name that fits a file, such as "bits-3.5": up to 64 letters, digits, ".", "_" or "-", with a letter or digit first and no dot last`},
	{"name ends in a dot", `[[experiment]]
name = "a."`,
		`2:1: name is "a.": write a name that fits a file, such as "bits-3.5": up to 64 letters, digits, ".", "_" or "-", with a letter or digit first and no dot last`},
	{"duplicate names", head + `levels = ["drop"]
budget = { drop = 0.25 }

[[experiment]]
name   = "A"
levels = ["drop"]
budget = { drop = 0.25 }`,
		`7:1: name "A" is taken by the experiment at line 1: choose another, upper and lower case being one`},
	{"seeds is a number", head + `seeds = 1`,
		`3:1: seeds is 1: write a list of 1 to 1000 whole numbers, such as [1, 2, 3]`},
	{"no seeds", head + `seeds = []`,
		`3:1: seeds is an empty list: write a list of 1 to 1000 whole numbers, such as [1, 2, 3]`},
	{"negative seed", head + `seeds = [1, -2]`,
		`3:13: seeds[1] is -2: write a whole number of at least 0`},
	{"fractional seed", head + `seeds = [1.5]`,
		`3:10: seeds[0] is 1.5: write a whole number of at least 0`},
	{"quoted seed", head + `seeds = ["1"]`,
		`3:10: seeds[0] is "1": write a whole number of at least 0, without quotes`},
	{"duplicate seed", head + `seeds = [
    1, 2, # two
    1,
]`,
		`5:5: seed 1 is there twice: the same seed gives the same result, so leave one out`},
	{"model is empty", head + `model = " "`,
		`3:1: model is " ": write text such as "builtin:finchling"`},
	{"model is a list", head + `model = ["a.gguf"]`,
		`3:1: model is a list of 1: write text such as "builtin:finchling"`},
	{"model with a control character", head + `model = "a\tb"`,
		`3:1: model is "a\tb": write it without control characters`},
	{"calibration is a path", head + `calibration = "text.txt"`,
		`3:1: calibration is "text.txt": write a table with some of the keys "data", "tokens", "sequence"`},
	{"negative tokens", head + `calibration = { tokens = -1 }`,
		`3:17: calibration.tokens is -1: write a whole number from 1 to 1000000000`},
	{"fractional tokens", head + `calibration = { tokens = 1024.0 }`,
		`3:17: calibration.tokens is 1024.0: write a whole number from 1 to 1000000000`},
	{"tokens with a unit", head + `calibration = { tokens = "96k" }`,
		`3:17: calibration.tokens is "96k": write a whole number from 1 to 1000000000`},
	{"quoted tokens", head + `calibration = { tokens = "98304" }`,
		`3:17: calibration.tokens is "98304": write a whole number from 1 to 1000000000, without quotes`},
	{"sequence of one", head + `evaluation = { sequence = 1 }`,
		`3:16: evaluation.sequence is 1: write a whole number from 2 to 1048576`},
	{"less than one sequence", head + `evaluation = { tokens = 100 }`,
		`3:16: evaluation.tokens is 100, less than one sequence of 512: write at least 512, or a smaller evaluation.sequence`},
	{"data is a number", head + `calibration.data = 3`,
		`3:13: calibration.data is 3: write text such as "builtin:calibration"`},
	{"data is a date", head + `calibration.data = 2025-01-01`,
		`3:13: calibration.data is a date or time: write text such as "builtin:calibration"`},
	{"deep nesting", `x = [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]`,
		`1:13: tables and lists nest more than 8 deep here: no setting nests more than 4 deep`},
	{"deep key", `a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1`,
		`1:17: tables and lists nest more than 8 deep here: no setting nests more than 4 deep`},
}
