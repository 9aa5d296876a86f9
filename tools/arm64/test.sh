#!/bin/sh
# The tests that arithmetic on arm64 can fail, cross-compiled and under user emulation. Left out: a test that starts itself,
# which needs the kernel to know qemu, and what takes too long: a whole model, many tokens.
set -eu
cd "$(dirname "$0")/../.."
GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc exec go test -exec 'qemu-aarch64 -L /usr/aarch64-linux-gnu' \
	-timeout 30m -short -skip 'SurvivesKill|SmolLM2|Conformance|GPTQ|SparseGPT|Golden.*Importance' ./kernels ./compress ./model ./evaluator "$@"
