package configs

// searchMistakes are mistakes in search, and in what it inherits.
var searchMistakes = []mistake{
	{"unknown method", search + `method = "evopres"`,
		`6:1: search.method is "evopres": did you mean "evopress"? (the values are "finch", "evopress", "greedy", "dp", "dp-local", "lagrangian", "shortgpt", "shortened", "shortened-iterative", "sliding-window", "subcloning", "owl", "annealing", "genetic", "pareto", "random", "brute", "uniform")`},
	{"unknown method far from all", search + `method = "gradient"`,
		`6:1: search.method is "gradient": the values are "finch", "evopress", "greedy", "dp", "dp-local", "lagrangian", "shortgpt", "shortened", "shortened-iterative", "sliding-window", "subcloning", "owl", "annealing", "genetic", "pareto", "random", "brute", "uniform"`},
	{"method is a number", search + `method = 3`,
		`6:1: search.method is 3: write one of "finch", "evopress", "greedy", "dp", "dp-local", "lagrangian", "shortgpt", "shortened", "shortened-iterative", "sliding-window", "subcloning", "owl", "annealing", "genetic", "pareto", "random", "brute", "uniform"`},
	{"unknown preset", search + `preset = "evopress-fats"`,
		`6:1: search.preset is "evopress-fats": did you mean "evopress-fast"? (the values are "evopress-bits", "evopress-depth", "evopress-fast", "evopress-sparsity")`},
	{"preset is a number", search + `preset = 3`,
		`6:1: search.preset is 3: write one of "evopress-bits", "evopress-depth", "evopress-fast", "evopress-sparsity"`},
	{"preset of more tokens than there are", search + `preset = "evopress-bits"`,
		`6:1: search.tokens[2] is 131072, more than the 98304 of calibration.tokens: write at most 98304, or raise calibration.tokens`},
	{"survivors that the preset cannot have", search + `survivors = [20, 1]
preset = "evopress-fast"`,
		`6:14: search.survivors[0] is 20, more than the 16 of search.offspring that it selects from: write at most 16`},
	{"no generations", search + `generations = 0`,
		`6:1: search.generations is 0: write a whole number from 1 to 100000`},
	{"fractional generations", search + `generations = 40.5`,
		`6:1: search.generations is 40.5: write a whole number from 1 to 100000`},
	{"too many generations", search + `generations = 1_000_000_000`,
		`6:1: search.generations is 1000000000: write a whole number from 1 to 100000`},
	{"offspring is text", search + `offspring = "many"`,
		`6:1: search.offspring is "many": write a whole number from 1 to 10000`},
	{"survivors is a number", search + `survivors = 1`,
		`6:1: search.survivors is 1: write a list of 1 to 8 whole numbers, such as [2, 1]`},
	{"no survivors", search + `survivors = []`,
		`6:1: search.survivors is an empty list: write a list of 1 to 8 whole numbers, such as [2, 1]`},
	{"zero survivors", search + `survivors = [0, 1]`,
		`6:14: search.survivors[0] is 0: write a whole number from 1 to 10000`},
	{"survivors of text", search + `survivors = ["2", 1]`,
		`6:14: search.survivors[0] is "2": write a whole number from 1 to 10000, without quotes`},
	{"too many stages", search + `survivors = [9, 8, 7, 6, 5, 4, 3, 2, 1]`,
		`6:1: search.survivors is a list of 9: write a list of 1 to 8 whole numbers, such as [2, 1]`},
	{"more survivors than offspring", search + `survivors = [17, 1]`,
		`6:14: search.survivors[0] is 17, more than the 16 of search.offspring that it selects from: write at most 16`},
	{"survivors rise", search + `survivors = [2, 4, 1]
tokens = [512, 1024, 2048]`,
		`6:17: search.survivors[1] is 4, more than the 2 of search.survivors[0] that it selects from: write at most 2`},
	{"survivors do not fall to one", search + `survivors = [
    4,
    2,
]`,
		`8:5: search.survivors[1] is 2, but the last stage keeps one parent: write 1`},
	{"survivors without tokens", search + `survivors = [4, 2, 1]`,
		`6:1: search.survivors has 3 stages and search.tokens has 2: write one count for each stage in both`},
	{"tokens without survivors", search + `tokens = [512, 1024, 2048]`,
		`6:1: search.survivors is missing: write one count for each of the 3 stages of search.tokens, the last 1`},
	{"stage tokens above calibration tokens", search + `tokens = [512, 131072]`,
		`6:16: search.tokens[1] is 131072, more than the 98304 of calibration.tokens: write at most 98304, or raise calibration.tokens`},
	{"stage tokens are no multiple", search + `tokens = [500, 8192]`,
		`6:11: search.tokens[0] is 500, no multiple of the 512 tokens of calibration.sequence: write 512, or change calibration.sequence`},
	{"stage tokens below a sequence", search + `tokens = [100, 8192]`,
		`6:11: search.tokens[0] is 100, no multiple of the 512 tokens of calibration.sequence: write 512, or change calibration.sequence`},
	{"stage tokens fall", search + `tokens = [8192, 512]`,
		`6:17: search.tokens[1] is 512, fewer than the 8192 of the stage before: write at least as many, since later stages score fewer candidates on more tokens`},
	{"negative stage tokens", search + `tokens = [-512, 8192]`,
		`6:11: search.tokens[0] is -512: write a whole number from 1 to 1000000000`},
	{"fractional stage tokens", search + `tokens = [512, 8192.5]`,
		`6:16: search.tokens[1] is 8192.5: write a whole number from 1 to 1000000000`},
	{"unknown fitness", search + `fitness = "perplexity"`,
		`6:1: search.fitness is "perplexity": the values are "kl", "ppl", "topk-kl"`},
	{"fitness near", search + `fitness = "KL"`,
		`6:1: search.fitness is "KL": did you mean "kl"? (the values are "kl", "ppl", "topk-kl")`},
	{"top_k of zero", search + `top_k = 0`,
		`6:1: search.top_k is 0: write a whole number from 1 to 1048576`},
	{"no starts", search + `starts = 0`,
		`6:1: search.starts is 0: write a whole number from 1 to 10000`},
	{"start tokens are no multiple", search + `start_tokens = 2000`,
		`6:1: search.start_tokens is 2000, no multiple of the 512 tokens of calibration.sequence: write 2048, or change calibration.sequence`},
	{"start tokens above calibration tokens", search + `start_tokens = 262144`,
		`6:1: search.start_tokens is 262144, more than the 98304 of calibration.tokens: write at most 98304, or raise calibration.tokens`},
	{"unknown group", search + `group = "kind"`,
		`6:1: search.group is "kind": the values are "size", "name", "none"`},
	{"whole_blocks is text", search + `whole_blocks = "yes"`,
		`6:1: search.whole_blocks is "yes": write true or false`},
	{"wrong default", `[defaults]
search.generations = "forty"

[[experiment]]
name   = "a"
levels = ["drop"]
budget = { drop = 0.25 }
search.generations = 40`,
		`2:8: search.generations is "forty": write a whole number from 1 to 100000`},
	{"stage tokens of defaults above calibration tokens", `[defaults]
search.tokens = [
    512,
    8192,
]

[[experiment]]
name        = "a"
levels      = ["drop"]
budget      = { drop = 0.25 }
calibration = { tokens = 4096 }`,
		`4:5: search.tokens[1] is 8192, more than the 4096 of calibration.tokens: write at most 4096, or raise calibration.tokens`},
}
