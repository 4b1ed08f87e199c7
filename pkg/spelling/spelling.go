// Package spelling finds the known word that a misspelled one resembles most.
package spelling

// Nearest returns the known word that is the fewest edits away from word, if they are fewer than limit. Of several that are equally
// near it returns the first.
func Nearest(word string, known []string, limit int) (string, bool) {
	best, found := "", false
	for _, k := range known {
		if d := Distance(word, k); d < limit {
			best, limit, found = k, d, true
		}
	}
	return best, found
}

// Distance is the Levenshtein distance of two words: how many bytes have to be inserted, deleted or changed to make a into b.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
