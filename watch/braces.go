package watch

import "strings"

// maxExpanded is how many patterns those of a list may stand for, with their braces written out.
const maxExpanded = 1000

// expand writes out the braces of a valid pattern: "{a,b}.csv" is "a.csv" and "b.csv". With braces left in, the time to match a
// name could grow with a power of its length, and names are the other side's. It stops behind most patterns.
func expand(pattern string, most int) []string {
	open, end, commas := firstBraces(pattern)
	if open < 0 {
		return []string{pattern}
	}
	var all []string
	from := open + 1
	for _, to := range append(commas, end) {
		all = append(all, expand(pattern[:open]+pattern[from:to]+pattern[end+1:], most-len(all))...)
		if from = to + 1; len(all) > most {
			break
		}
	}
	return all
}

// firstBraces returns where the first braces begin and end, and the commas between their alternatives; -1 where there are none.
func firstBraces(pattern string) (open, end int, commas []int) {
	open, end = -1, -1
	depth := 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '[':
			i = classEnd(pattern, i)
		case c == '{':
			if depth++; depth == 1 {
				open = i
			}
		case c == ',' && depth == 1:
			commas = append(commas, i)
		case c == '}' && depth == 1:
			return open, i, commas
		case c == '}' && depth > 1:
			depth--
		}
	}
	return -1, -1, nil
}

// classEnd returns where the class of characters ends that begins at i.
func classEnd(pattern string, i int) int {
	for i++; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case ']':
			return i
		}
	}
	return i
}

// expandAll writes out the braces of all patterns; it stops behind maxExpanded.
func expandAll(patterns []string) []string {
	var all []string
	for _, p := range patterns {
		if !strings.Contains(p, "{") {
			all = append(all, p)
		} else if all = append(all, expand(p, maxExpanded)...); len(all) > maxExpanded {
			break
		}
	}
	return all
}
