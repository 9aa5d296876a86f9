// Package safetensors reads and writes safetensors, the model file of Hugging Face
// (https://huggingface.co/docs/safetensors), and folders of such files:
//
//	header length uint64, little-endian
//	header JSON, padded with spaces:
//	    {"__metadata__": {"key": "text", …}, "name": {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [begin, end]}, …}
//	data of the tensors, row-major, little-endian
//
// Offsets count from the end of the header. Reading is strict: the tensors must fill the data without holes, overlaps or
// bytes left over, so that a file has one meaning; and the header is read by a small scanner of its own, because
// encoding/json keeps the last of two equal keys without a word.
package safetensors
