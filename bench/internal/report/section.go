package report

import (
	"bytes"
	"fmt"
	"os"
	"slices"
)

// ReplaceSection puts text between the two markers of a section in the file at path: the lines "<!-- begin NAME -->" and
// "<!-- end NAME -->".
func ReplaceSection(path, section, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, tail, err := cutSection(content, section)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, slices.Concat(head, []byte(text), tail), 0o644)
}

// CheckSections makes sure that ReplaceSection will find all of them.
func CheckSections(path string, sections []string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, section := range sections {
		if _, _, err := cutSection(content, section); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// cutSection returns what is up to the section's first marker, and from its last one on.
func cutSection(content []byte, section string) (head, tail []byte, err error) {
	begin, end := []byte("<!-- begin "+section+" -->\n"), []byte("<!-- end "+section+" -->")
	from := bytes.Index(content, begin)
	to := bytes.Index(content, end)
	if from < 0 || to < from {
		return nil, nil, fmt.Errorf("no lines %q and %q (add them where the tables shall be)", bytes.TrimSpace(begin), end)
	}
	return content[:from+len(begin)], content[to:], nil
}
