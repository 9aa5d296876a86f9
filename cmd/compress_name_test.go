package cmd

import (
	"strings"
	"testing"

	"github.com/finch-llm/finch/configs"
)

func TestExperimentNameOfAnOutput(t *testing.T) {
	for output, want := range map[string]string{
		"out/small.gguf":                    "small",
		"my model (4 bit).gguf":             "my-model-4-bit",
		"---.gguf":                          "compressed",
		"модель.gguf":                       "compressed",
		strings.Repeat("a", 99) + ".gguf":   strings.Repeat("a", 64),
		strings.Repeat("a", 63) + "-b.gguf": strings.Repeat("a", 63),
	} {
		name := experimentName(output)
		if name != want {
			t.Errorf("experimentName(%q) = %q, want %q", output, name, want)
		}
		_, err := configs.Parse([]byte("[[experiment]]\nname = \""+name+"\"\n"), "test.toml")
		if err != nil && strings.Contains(err.Error(), "name is") {
			t.Errorf("%q is no name of an experiment: %v", name, err)
		}
	}
}
