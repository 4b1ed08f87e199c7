package cli

import (
	"bufio"
	"fmt"
	"strings"
)

// agree asks a person a question. Where nobody answers, it fails with what to do.
func (a *app) agree(question, nobody string) (bool, error) {
	if _, err := fmt.Fprint(a.Out, clean(question), " yes or no: "); err != nil {
		return false, err
	}
	return a.answer(nobody)
}

// answer reads yes or no. Where nobody answers, it fails with what to do.
func (a *app) answer(nobody string) (bool, error) {
	line, err := bufio.NewReader(a.Files.In).ReadString('\n')
	if err != nil && line == "" {
		return false, usage("%s", nobody)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "yes" || answer == "y", nil
}
