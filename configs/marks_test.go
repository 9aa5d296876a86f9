package configs

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// Every «name» in the source, removed before reading, marks the place of the key path it names.
func TestMarks(t *testing.T) {
	for _, c := range []struct{ name, source string }{
		{"plain keys", "«a»a = 1\n«b-2_C»b-2_C = 2 # c = 3\n  «9»9 = 4\n"},
		{"dotted keys", "«a»a . b = 1\na.«a.c»c.«a.c.d»d = 2\n"},
		{"tables", "«t»[t]\n«t.a»a = 1\n[t.u]\n«t.u.b»b = 2\n  «v»[ v . w ]\n«v.w.c»c = 3\n"},
		{"header after a deeper one", "[t.u]\na = 1\n«t»[t]\n«t.b»b = 2\n"},
		{"arrays of tables", "«e[0]»[[e]]\n«e[0].a»a = 1\n«e[0].s»[e.s]\n«e[0].s.x»x = 1\n\n«e[1]»[[e]]\n«e[1].s»[e.s]\n«e[1].s.y»y = 2\n«e[1].l[0]»[[e.l]]\n«e[1].l[0].z»z = 3"},
		{"inline tables", "«i»i = { «i.a»a = 1, «i.b»b.«i.b.c»c = { «i.b.c.d»d = 2 } }\n«j»j = {}\n«k»k = 1"},
		{"inline tables over lines", "i = {\n  # first\n  «i.a»a = 1, # one\n  «i.b»b = 2,\n}\n«j»j = 1"},
		{"arrays", "«a»a = [«a[0]»1, «a[1]»2,\n  # [3, 4]\n  «a[2]»[«a[2][0]»5, «a[2][1]»\"]\"], «a[3]»{ «a[3].b»b = 6 },\n]\n«c»c = 7"},
		{"strings", "a = \"# [x] = {\\\" \\\\\"\n«b»b = '\\'\n«c»c = \"\"\n«d»d = ''"},
		{"multi-line strings", "a = \"\"\"\nx = 1\n[t] \\\"\"\" \"\" \\\n\"\"\"\"\"\n«b»b = '''\ny = 2\\''' # '''\n«c»c = \"\"\"\"\"\" \n«d»d = ''''''''\n«e»e = 1"},
		{"dates and numbers", "a = 1979-05-27 07:32:00\n«b»b = -1.5e+10\n«c»c = [«c[0]»1979-05-27 07:32:00, «c[1]»+inf]"},
		{"line ends of Windows", "«a»a = 1\r\n# c\r\n«t»[t]\r\n«t.b»b = \"\"\"\r\n\r\n\"\"\"\r\n«t.c»c = 2\r\n"},
		{"characters of many bytes", "a = \"日本語\" # é\n«b»b = { «b.é»\"é\" = 'ü', «b.c»c = 1 }"},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, want := unmark(c.source)
			if _, err := toml.Decode(source, &map[string]any{}); err != nil {
				t.Fatal(err)
			}
			doc := newDocument("x", source)
			root, err := locate(doc)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			paths(root, "", got)
			for path, offset := range want {
				if o, ok := got[path]; !ok {
					t.Errorf("%s has no mark: %v", path, got)
				} else if o != offset {
					t.Errorf("%s is at %d (%v), not at %d (%v)", path, o, doc.at(o), offset, doc.at(offset))
				}
			}
		})
	}
}

func unmark(source string) (plain string, marks map[string]int) {
	marks = map[string]int{}
	for {
		before, rest, ok := strings.Cut(source, "«")
		plain += before
		if !ok {
			return plain, marks
		}
		name, after, _ := strings.Cut(rest, "»")
		marks[name] = len(plain)
		source = after
	}
}

func paths(m *mark, path string, all map[string]int) {
	all[path] = m.offset
	for key, child := range m.keys {
		paths(child, strings.TrimPrefix(path+"."+key, "."), all)
	}
	for i, item := range m.items {
		paths(item, fmt.Sprintf("%s[%d]", path, i), all)
	}
}

func TestQuotedNames(t *testing.T) {
	root, err := locate(newDocument("x", `"a b".'c.d' = 1`+"\n"+`"\"e\u00e9" = 2`+"\n'' = 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	paths(root, "", got)
	delete(got, "")
	want := map[string]int{"a b": 0, "a b.c.d": 6, `"eé`: 16}
	if !reflect.DeepEqual(got, want) || root.keys[""] == nil {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPlaces(t *testing.T) {
	doc := newDocument("x", "ab\n\né日c\n")
	for offset, want := range map[int]place{
		-1: {1, 1}, 0: {1, 1}, 2: {1, 3}, 3: {2, 1}, 4: {3, 1}, 6: {3, 2}, 9: {3, 3}, 10: {3, 4}, 11: {4, 1}, 99: {4, 1},
	} {
		if got := doc.at(offset); got != want {
			t.Errorf("offset %d is at %v, want %v", offset, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for name, source := range map[string]string{
		"depth":       "a.b.c.d.e.f.g.h = 1",
		"table depth": "[a.b.c.d]\ne.f = [[1]]",
		"values":      "a = [" + strings.Repeat("1,", maxValues-1) + "]",
	} {
		if _, err := locate(newDocument("x", source)); err != nil {
			t.Errorf("%s at the limit: %v", name, err)
		}
	}
	for name, source := range map[string]string{
		"depth":       "a.b.c.d.e.f.g.h.i = 1",
		"table depth": "[a.b.c.d]\ne.f = [[[1]]]",
		"inline":      "a.b.c.d.e.f = {g = {h = {i = 1}}}",
		"values":      "a = [" + strings.Repeat("1,", maxValues) + "]",
	} {
		if _, err := locate(newDocument("x", source)); err == nil {
			t.Errorf("%s beyond the limit is allowed", name)
		}
	}
}
