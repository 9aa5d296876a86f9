package kernels

import (
	"slices"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	best, err := Select("")
	if err != nil || best.Name() != Paths()[0].Name() {
		t.Errorf("the best path is %v, %v", best, err)
	}
	if p, err := Select("portable"); err != nil || p.Name() != "portable" {
		t.Errorf("portable is %v, %v", p, err)
	}
	_, err = Select("mmx")
	if err == nil || !strings.Contains(err.Error(), "portable") {
		t.Errorf("an unknown path gives %v", err)
	}
}

func TestPathsAreOrdered(t *testing.T) {
	order := []string{"avx512bf16", "avx512", "avx2", "neon", "portable"}
	last := -1
	for _, p := range Paths() {
		at := slices.Index(order, p.Name())
		if at <= last {
			t.Errorf("%s is out of order", p.Name())
		}
		last = at
	}
	if last != len(order)-1 {
		t.Error("portable is not the last path")
	}
}

func TestExact(t *testing.T) {
	for _, p := range Paths() {
		exact := p.Exact()
		if p.Name() == "avx512bf16" {
			if exact.Name() != "avx512" {
				t.Errorf("exact instead of avx512bf16 is %s", exact.Name())
			}
		} else if exact != p {
			t.Errorf("%s is exact, but Exact gives %s", p.Name(), exact.Name())
		}
	}
}
