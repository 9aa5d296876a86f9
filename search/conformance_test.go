package search_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/search/searchtest"
)

func TestConformance(t *testing.T) {
	for _, method := range search.Methods() {
		for _, axis := range searchtest.Axes() {
			t.Run(method.Name+"/"+axis, func(t *testing.T) {
				space := searchtest.Space(axis)
				settings := search.WithImportance(space)
				if axes := search.AxesOf[method.Name]; axes != nil && !slices.Contains(axes, axis) {
					if _, err := search.New(method.Name, space, settings, 7); err == nil {
						t.Error("not refused")
					}
					return
				}
				asked := searchtest.Conform(t, method.Name, space, settings)
				other, err := search.New(method.Name, space, settings, 8)
				if err != nil {
					t.Fatal(err)
				}
				randomised := slices.Contains(search.Seeded, method.Name) && (method.Name != "evopress" || axis != search.Sparsity)
				if first, _ := other.Ask(); randomised && reflect.DeepEqual(first, asked[0]) {
					t.Error("another seed asks the same")
				}
			})
		}
	}
}

// Two limits of which what saves one costs the other are obeyed by every method that chooses levels.
func TestConformanceUnderTwoLimits(t *testing.T) {
	for _, method := range search.Methods() {
		for _, axis := range []string{search.Bits, search.Joint} {
			space := searchtest.Apart(axis)
			settings := search.WithImportance(space)
			axes := search.AxesOf[method.Name]
			if method.Name == "brute" || axes != nil && !slices.Contains(axes, axis) {
				continue
			}
			t.Run(method.Name+"/"+axis, func(t *testing.T) { searchtest.Conform(t, method.Name, space, settings) })
		}
	}
}

func TestRegisterRefusesANameThatIsTaken(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it did not panic")
		}
	}()
	search.Register(search.Method{Name: "evopress"})
}
