package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Task is a file of questions of one kind.
type Task struct {
	Name  string // of the file, without folder and extension
	Items []Item
}

// Item is a question: continuations of contexts, the likeliest of which is the answer. With one only, it is cloze.
type Item struct {
	Requests []Request
	Gold     int // index of the right one

	// Length is how many characters each answer has, by which its log-likelihood is divided for the normalized accuracy. Where
	// the requests differ in their contexts there is none.
	Length []int
}

// Request is a text whose end is predicted.
type Request struct {
	Context, Continuation string
}

// cloze says that there is nothing to choose from.
func (i *Item) cloze() bool { return len(i.Requests) == 1 }

// Read reads a file of one JSON object a line. Each line's fields say which shape it has: see shapes.
func Read(path string) (*Task, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("a task is a .jsonl file: %w", err)
	}
	return parse(data, path)
}

func parse(data []byte, path string) (*Task, error) {
	t := &Task{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		item, err := parseLine(text)
		if err == nil && len(t.Items) > 0 && item.cloze() != t.Items[0].cloze() {
			err = errors.New("some lines have answers to choose from and some have not: put them into files of their own")
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		t.Items = append(t.Items, item)
	}
	if len(t.Items) == 0 {
		return nil, fmt.Errorf("%s has no questions: write one JSON object a line", path)
	}
	return t, nil
}

func parseLine(line []byte) (Item, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return Item{}, fmt.Errorf("a question is a JSON object: %w", err)
	}
	for _, s := range shapes {
		if s.fits(fields) {
			return s.parse(line)
		}
	}
	var known []string
	for _, s := range shapes {
		known = append(known, strings.Join(s.fields, ", "))
	}
	return Item{}, fmt.Errorf("the question has none of these sets of fields: %s", strings.Join(known, "; "))
}

// shape is one way in which data sets write questions.
type shape struct {
	fields []string // that tell it from others
	item   func(*row) (Item, error)
}

func (s *shape) fits(fields map[string]json.RawMessage) bool {
	for _, f := range s.fields {
		if _, ok := fields[f]; !ok {
			return false
		}
	}
	return true
}

func (s *shape) parse(line []byte) (Item, error) {
	var r row
	if err := json.Unmarshal(line, &r); err != nil {
		return Item{}, err
	}
	item, err := s.item(&r)
	if err != nil {
		return Item{}, err
	}
	if item.Gold < 0 || item.Gold >= len(item.Requests) {
		return Item{}, fmt.Errorf("answer %d of %d is the right one: the first is 0", item.Gold, len(item.Requests))
	}
	for _, r := range item.Requests {
		if strings.TrimSpace(r.Continuation) == "" {
			return Item{}, errors.New("there is nothing to predict: an answer or continuation is empty")
		}
	}
	return item, nil
}
