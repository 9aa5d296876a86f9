// Package finchling holds the model and the texts that finch ships: a small Llama trained on five public-domain books and
// collections, so that every command works on real input without a download. The model card is README.md beside this file.
package finchling

import _ "embed"

//go:embed config.json
var Config []byte

//go:embed tokenizer.json
var Tokenizer []byte

//go:embed model.safetensors
var Weights []byte

// Calibration is an excerpt of the text that finchling was trained on.
//
//go:embed calibration.txt
var Calibration string

// Evaluation is an excerpt of the last 5 % of each text, which finchling never saw.
//
//go:embed evaluation.txt
var Evaluation string
