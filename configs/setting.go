package configs

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// setting is one value of the file.
type setting struct {
	key   string // its name in messages: "search.tokens[1]"
	name  string // the last part of a key: "tokens"
	value any    // as the TOML parser gives it
	mark  *mark
	doc   *document
}

func (s setting) errorf(format string, args ...any) error {
	return s.doc.errorf(s.mark.offset, format, args...)
}

// wrong is the error for a value that should be something else.
func (s setting) wrong(write string) error {
	return s.errorf("%s is %s: write %s", s.key, describe(s.value), write)
}

// child is the setting of a key in a table. Its mark falls back to the table's.
func (s setting) child(key string) setting {
	c := setting{key: key, name: key, value: s.value.(map[string]any)[key], mark: s.mark.keys[key], doc: s.doc}
	if s.key != "" {
		c.key = s.key + "." + key
	}
	if c.mark == nil {
		c.mark = s.mark
	}
	return c
}

// children are the settings in a table, in the order of the file.
func (s setting) children() []setting {
	table := s.value.(map[string]any)
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	sort.Strings(names)
	sort.SliceStable(names, func(i, j int) bool {
		return s.child(names[i]).mark.offset < s.child(names[j]).mark.offset
	})
	all := make([]setting, len(names))
	for i, name := range names {
		all[i] = s.child(name)
	}
	return all
}

// items are the elements of an array, or false if the value is none.
func (s setting) items() ([]setting, bool) {
	var values []any
	switch v := s.value.(type) {
	case []any:
		values = v
	case []map[string]any: // [[key]]
		for _, table := range v {
			values = append(values, table)
		}
	default:
		return nil, false
	}
	all := make([]setting, len(values))
	for i, v := range values {
		all[i] = setting{key: fmt.Sprintf("%s[%d]", s.key, i), value: v, mark: s.mark, doc: s.doc}
		if i < len(s.mark.items) {
			all[i].mark = s.mark.items[i]
		}
	}
	return all, true
}

func (s setting) text(example string) (string, error) {
	v, ok := s.value.(string)
	if !ok || strings.TrimSpace(v) == "" {
		return "", s.wrong("text such as " + strconv.Quote(example))
	}
	if i := strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return "", s.wrong("it without control characters")
	}
	return v, nil
}

// choice is a text that must be one of known.
func (s setting) choice(known []string) (string, error) {
	v, ok := s.value.(string)
	if !ok {
		return "", s.wrong("one of " + quoteAll(known))
	}
	for _, k := range known {
		if v == k {
			return v, nil
		}
	}
	return "", s.errorf("%s is %s: %s", s.key, describe(v), suggest(v, known, "values"))
}

func (s setting) flag() (bool, error) {
	v, ok := s.value.(bool)
	if !ok {
		return false, s.wrong("true or false")
	}
	return v, nil
}

func (s setting) integer(least, most int64) (int64, error) {
	v, ok := s.value.(int64)
	if !ok || v < least || v > most {
		return 0, s.wrong(fmt.Sprintf("a whole number from %d to %d", least, most) + unquoted(s.value))
	}
	return v, nil
}

func (s setting) count(least, most int) (int, error) {
	v, err := s.integer(int64(least), int64(most))
	return int(v), err
}

func (s setting) counts(least, most, longest int, example string) ([]int, error) {
	items, ok := s.items()
	if !ok || len(items) == 0 || len(items) > longest {
		return nil, s.wrong(fmt.Sprintf("a list of 1 to %d whole numbers, such as %s", longest, example))
	}
	all := make([]int, len(items))
	for i, item := range items {
		var err error
		if all[i], err = item.count(least, most); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// number is a finite number above 0 and at most most.
func (s setting) number(most float64, example string) (float64, error) {
	var v float64
	switch n := s.value.(type) {
	case float64:
		v = n
	case int64:
		v = float64(n)
	}
	if !(v > 0 && v <= most) { // NaN too
		return 0, s.wrong(fmt.Sprintf("a number above 0 and up to %s, such as %s", decimal(most), example) + unquoted(s.value))
	}
	return v, nil
}

// fraction is a number above 0 and below 1.
func (s setting) fraction(example string) (float64, error) {
	switch v, ok := s.value.(int64); {
	case ok && v > 1 && v < 100:
		return 0, s.errorf("%s is %d, more than the whole: write %d %% as %s", s.key, v, v, decimal(float64(v)/100))
	case ok && v == 1:
		return 0, s.errorf("%s is 1, which leaves nothing of the model: write a fraction below 1, such as %s", s.key, example)
	}
	v, ok := s.value.(float64)
	if !ok || !(v > 0 && v < 1) {
		return 0, s.wrong("a fraction above 0 and below 1, such as " + example + unquoted(s.value))
	}
	return v, nil
}

// unquoted is the advice for a number in quotes.
func unquoted(v any) string {
	if text, ok := v.(string); ok {
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return ", without quotes"
		}
	}
	return ""
}

// decimal writes v without an exponent, unless it is beyond reading.
func decimal(v float64) string {
	if math.Abs(v) >= 1e15 || (v != 0 && math.Abs(v) < 1e-6) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// describe shows a TOML value in a message.
func describe(v any) string {
	const longest = 60
	switch v := v.(type) {
	case string:
		if utf8.RuneCountInString(v) > longest {
			v = string([]rune(v)[:longest]) + "…"
		}
		return strconv.Quote(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		text := decimal(v)
		if v == math.Trunc(v) && !strings.ContainsAny(text, "eIN") {
			text += ".0" // tells 40.0 from 40
		}
		return text
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	case []any:
		if len(v) == 0 {
			return "an empty list"
		}
		return fmt.Sprintf("a list of %d", len(v))
	case []map[string]any:
		return "a list of tables"
	}
	return fmt.Sprintf("a %T", v)
}
