package configs

// levelMistakes are mistakes in target, levels and budget.
var levelMistakes = []mistake{
	{"unknown target", head + `target = "ggml"`,
		`3:1: target is "ggml": the values are "gguf", "safetensors", "packed"`},
	{"target is a flag", head + `target = true`,
		`3:1: target is true: write one of "gguf", "safetensors", "packed"`},
	{"no levels", head + `budget = { drop = 0.25 }`,
		`1:1: levels is missing: write levels = ["q2_k", "q4_k"], ["drop"] or { sparse = { … } }`},
	{"levels is text", head + `levels = "q4_k"`,
		`3:1: levels is "q4_k": write a list of 1 to 256 names, such as ["q2_k", "q4_k"], or { sparse = { … } }`},
	{"empty levels", head + `levels = []`,
		`3:1: levels is an empty list: write a list of 1 to 256 names, such as ["q2_k", "q4_k"], or { sparse = { … } }`},
	{"empty levels table", head + `levels = {}`,
		`3:1: levels is an empty table: write levels = { sparse = { center = 0.60, step_weights = 4096 } }`},
	{"unknown level", head + `levels = ["q2_k", "q4_k_m"]`,
		`3:19: levels[1]: unknown level "q4_k_m": did you mean "q4_k"? (levels are "drop", "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs", with an importance matrix "imatrix-q4_k" and the like, integers such as "int3-g64" or "int3-g64-sym", both by GPTQ such as "gptq-q4_k", and sparsities such as "sparse-0.50", "wanda-2:4" or "sparsegpt-0.50+q4_0")`},
	{"unknown level far from all", head + `levels = ["fp8"]`,
		`3:11: levels[0]: unknown level "fp8": levels are "drop", "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs", with an importance matrix "imatrix-q4_k" and the like, integers such as "int3-g64" or "int3-g64-sym", both by GPTQ such as "gptq-q4_k", and sparsities such as "sparse-0.50", "wanda-2:4" or "sparsegpt-0.50+q4_0"`},
	{"integers of nine bits", head + `levels = ["int9-g64"]`,
		`3:11: levels[0]: unknown level "int9-g64": did you mean "int3-g64"? (levels are "drop", "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs", with an importance matrix "imatrix-q4_k" and the like, integers such as "int3-g64" or "int3-g64-sym", both by GPTQ such as "gptq-q4_k", and sparsities such as "sparse-0.50", "wanda-2:4" or "sparsegpt-0.50+q4_0")`},
	{"integers in a GGUF", head + `target = "gguf"
levels = ["q2_k", "int3-g64"]
budget = { bits_per_weight = 3 }`,
		`4:19: levels[1] is "int3-g64", but target is "gguf": a GGUF cannot hold it exactly: write target = "packed"`},
	{"integers for transformers", head + `target = "safetensors"
levels = ["int3-g64", "f16"]
budget = { bits_per_weight = 5 }`,
		`4:11: levels[0] is "int3-g64", but target is "safetensors": no reader of safetensors files knows the format: write target = "packed"`},
	{"level in upper case", head + `levels = ["q2_k", "Q4_K"]`,
		`3:19: levels[1]: unknown level "Q4_K": did you mean "q4_k"? (levels are "drop", "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs", with an importance matrix "imatrix-q4_k" and the like, integers such as "int3-g64" or "int3-g64-sym", both by GPTQ such as "gptq-q4_k", and sparsities such as "sparse-0.50", "wanda-2:4" or "sparsegpt-0.50+q4_0")`},
	{"level is a number", head + `levels = ["q2_k", 4]`,
		`3:19: levels[1] is 4: write text such as "q4_k"`},
	{"level keep", head + `levels = ["keep", "drop"]`,
		`3:11: levels[0]: "keep" comes with "drop": leave it out`},
	{"duplicate level", head + `levels = ["q2_k", "q3_k", "q2_k"]`,
		`3:27: levels[2]: level "q2_k" is there twice: leave one out`},
	{"sparse level without a point", head + `levels = ["sparse-60"]`,
		`3:11: levels[0]: level "sparse-60": write "sparse-0.60"`},
	{"sparse level with one decimal", head + `levels = ["sparse-0.5+q4_0"]`,
		`3:11: levels[0]: level "sparse-0.5+q4_0": write "sparse-0.50+q4_0"`},
	{"sparse level of everything", head + `levels = ["sparse-1.00"]`,
		`3:11: levels[0]: level "sparse-1.00": a sparsity lies above 0 and up to 0.95: write it like "sparse-0.50"`},
	{"sparse level of an unknown format", head + `levels = ["sparse-0.50+q4_2"]`,
		`3:11: levels[0]: level "sparse-0.50+q4_2": the kept weights cannot have the format "q4_2": write one of "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl" or integers such as "int4-g32", or leave it out`},
	{"sparse level of blocks too large", head + `levels = ["sparse-0.50+q4_k"]`,
		`3:11: levels[0]: level "sparse-0.50+q4_k": the kept weights cannot have the format "q4_k": write one of "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl" or integers such as "int4-g32", or leave it out`},
	{"one level", head + `levels = ["q4_k"]
budget = { bits_per_weight = 4.5 }`,
		`3:1: levels has "q4_k" alone, which leaves nothing to choose: add another level, or write search.method = "uniform"`},
	{"ladder without center", head + `levels = { sparse = { step_weights = 4096 } }
budget = { bytes = "5MB" }`,
		`3:12: levels.sparse has no center: write center = 0.60, or a budget of sparsity to centre on`},
	{"center in percent", head + `levels = { sparse = { center = 60 } }`,
		`3:23: levels.sparse.center is 60, more than the whole: write 60 % as 0.6`},
	{"center is too sparse", head + `levels = { sparse = { center = 0.97 } }`,
		`3:23: levels.sparse.center is 0.97: write at most 0.95`},
	{"negative step", head + `levels = { sparse = { center = 0.6, step_weights = -4096 } }`,
		`3:37: levels.sparse.step_weights is -4096: write a whole number from 1 to 1099511627776`},
	{"fractional count", head + `levels = { sparse = { center = 0.6, count = 8.5 } }`,
		`3:37: levels.sparse.count is 8.5: write a whole number from 1 to 127`},
	{"center beside the budget", head + `levels = { sparse = { center = 0.5, step_weights = 4096 } }
budget = { sparsity = 0.6 }`,
		`3:23: levels.sparse.center is 0.5, but budget.sparsity is 0.6: a ladder is centred on its budget, so leave center out`},
	{"no budget", head + `levels = ["drop"]`,
		`1:1: budget is missing: write budget = { bits_per_weight = 3.5 }, or bytes = "1.2GiB", sparsity = 0.6 or drop = 0.25`},
	{"empty budget", head + `levels = ["drop"]
budget = {}`,
		`4:1: budget is missing: write budget = { bits_per_weight = 3.5 }, or bytes = "1.2GiB", sparsity = 0.6 or drop = 0.25`},
	{"budget is a number", head + `budget = 3.5`,
		`3:1: budget is 3.5: write a table with some of the keys "bits_per_weight", "bytes", "sparsity", "drop", "latency_ms", "latency_table"`},
	{"zero bits", head + `budget = { bits_per_weight = 0 }`,
		`3:12: budget.bits_per_weight is 0: write a number above 0 and up to 32, such as 3.5`},
	{"negative bits", head + `budget = { bits_per_weight = -3.5 }`,
		`3:12: budget.bits_per_weight is -3.5: write a number above 0 and up to 32, such as 3.5`},
	{"too many bits", head + `budget = { bits_per_weight = 64 }`,
		`3:12: budget.bits_per_weight is 64: write a number above 0 and up to 32, such as 3.5`},
	{"bits are not a number", head + `budget = { bits_per_weight = nan }`,
		`3:12: budget.bits_per_weight is NaN: write a number above 0 and up to 32, such as 3.5`},
	{"infinite bits", head + `budget = { bits_per_weight = inf }`,
		`3:12: budget.bits_per_weight is +Inf: write a number above 0 and up to 32, such as 3.5`},
	{"quoted bits", head + `budget = { bits_per_weight = "3.5" }`,
		`3:12: budget.bits_per_weight is "3.5": write a number above 0 and up to 32, such as 3.5, without quotes`},
	{"bytes without unit", head + `budget = { bytes = "4800000" }`,
		`3:12: budget.bytes: "4800000" is no size: write it like "1.2GiB", "90MB" or "3.2 GB"`},
	{"bytes with a strange unit", head + `budget = { bytes = "4.8 Mbit" }`,
		`3:12: budget.bytes: "4.8 Mbit" has no unit of size: write it like "1.2GiB", "90MB" or "3.2 GB" (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)`},
	{"bytes beyond reading", head + `budget = { bytes = "1e9 GB" }`,
		`3:12: budget.bytes: "1e9 GB" is no size: write it like "1.2GiB", "90MB" or "3.2 GB"`},
	{"bytes beyond any disk", head + `budget = { bytes = "2000000TB" }`,
		`3:12: budget.bytes: "2000000TB" is more than 1 EiB: write it like "1.2GiB", "90MB" or "3.2 GB"`},
	{"less than a byte", head + `budget = { bytes = "0.1B" }`,
		`3:12: budget.bytes: "0.1B" is less than a byte: write it like "1.2GiB", "90MB" or "3.2 GB"`},
	{"zero bytes", head + `budget = { bytes = 0 }`,
		`3:12: budget.bytes is 0: write a size such as "1.2GiB" or "90MB", or a whole number of bytes above 0`},
	{"fractional bytes", head + `budget = { bytes = 1.5 }`,
		`3:12: budget.bytes is 1.5: write a size such as "1.2GiB" or "90MB", or a whole number of bytes above 0`},
	{"sparsity over 100 %", head + `budget = { sparsity = 1.5 }`,
		`3:12: budget.sparsity is 1.5: write a fraction above 0 and below 1, such as 0.6`},
	{"sparsity in percent", head + `budget = { sparsity = 60 }`,
		`3:12: budget.sparsity is 60, more than the whole: write 60 % as 0.6`},
	{"all dropped", head + `budget = { drop = 1 }`,
		`3:12: budget.drop is 1, which leaves nothing of the model: write a fraction below 1, such as 0.25`},
	{"latency without a table", head + `levels = ["q2_k", "q3_k"]
budget = { latency_ms = 12.5 }`,
		`4:12: budget.latency_ms needs the times of the layers: write latency_table = "latency.json" beside it, which finch bench latency makes`},
	{"a table of latencies by itself", head + `levels = ["q2_k", "q3_k"]
budget = { bytes = 1000, latency_table = "latency.json" }`,
		`4:26: budget.latency_table bounds nothing by itself: write latency_ms beside it, or leave it out`},
	{"drop is zero", head + `budget = { drop = 0.0 }`,
		`3:12: budget.drop is 0.0: write a fraction above 0 and below 1, such as 0.25`},
	{"negative drop", head + `budget = { drop = -0.25 }`,
		`3:12: budget.drop is -0.25: write a fraction above 0 and below 1, such as 0.25`},
	{"infinite sparsity", head + `budget = { sparsity = -inf }`,
		`3:12: budget.sparsity is -Inf: write a fraction above 0 and below 1, such as 0.6`},
	{"sparsity without sparse levels", head + `levels = ["q2_k", "q3_k"]
budget = { sparsity = 0.5 }`,
		`4:12: budget.sparsity needs levels with zeros: write levels = { sparse = { … } } or add "sparse-0.50" to levels`},
	{"sparsity above the sparsest level", head + `levels = ["bf16", "sparse-0.50"]
budget = { sparsity = 0.6 }`,
		`4:12: budget.sparsity is 0.6, but no level is sparser than 0.5: write at most that, or add a sparser level`},
	{"drop without the level", head + `levels = ["q2_k", "q3_k"]
budget = { drop = 0.25 }`,
		`4:12: budget.drop needs the level "drop": add it to levels`},
	{"bits without quantized levels", head + `levels = ["drop"]
budget = { bits_per_weight = 3.5 }`,
		`4:12: budget.bits_per_weight needs quantized levels: add some, such as "q3_k", or bound bytes, sparsity or drop`},
	{"budget in defaults that does not fit", `[defaults]
budget = { sparsity = 0.5 }

[[experiment]]
name   = "a"
levels = ["q2_k", "q3_k"]
budget = { bits_per_weight = 3 }`,
		`2:12: budget.sparsity needs levels with zeros: write levels = { sparse = { … } } or add "sparse-0.50" to levels`},
	{"sublayer drops for transformers", head + `levels = ["bf16", "drop"]
budget = { bytes = 1000 }
target = "safetensors"`,
		`3:19: levels[1] is "drop", but target is "safetensors", where only whole blocks save anything: write search.whole_blocks = true, or target = "packed", or bound drop`},
	{"sparse levels that cannot be in a GGUF", head + `levels = ["bf16", "sparse-0.50+q4_0"]
budget = { sparsity = 0.3 }
target = "gguf"`,
		`3:19: levels[1] is "sparse-0.50+q4_0", but target is "gguf": a GGUF cannot hold it exactly: write target = "packed"`},
	{"sparse levels that save nothing", head + `levels = ["q4_k", "sparse-0.50"]
budget = { bits_per_weight = 4 }
target = "gguf"`,
		`3:19: levels[1] is "sparse-0.50", but target is "gguf", which stores zeros like any weight, so the level saves nothing: write target = "packed", or bound sparsity`},
	{"ladder that saves nothing", head + `levels = { sparse = { center = 0.6, step_weights = 4096 } }
budget = { bytes = "5MB" }
target = "safetensors"`,
		`3:12: levels.sparse saves nothing with target "safetensors", which stores zeros like any weight: write target = "packed", or bound sparsity`},
	{"K-quants in safetensors", head + `levels = ["q2_k", "q3_k"]
budget = { bits_per_weight = 3 }
target = "safetensors"`,
		`3:11: levels[0] is "q2_k", but target is "safetensors": no reader of safetensors files knows the format: write target = "gguf" or "packed"`},
}
