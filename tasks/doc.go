// Package tasks scores language models on zero-shot questions by log-likelihood, as lm-evaluation-harness does: multiple
// choice, where the likeliest answer counts, and cloze, where a text must end as it does.
package tasks
