package cli

import (
	"bufio"
	"fmt"
	"strings"
)

// agree asks a person a question. Where nobody answers, it fails with what to do.
func (env *app) agree(question, nobody string) (bool, error) {
	if _, err := fmt.Fprint(env.Out, clean(question), " yes or no: "); err != nil {
		return false, err
	}
	return env.answer(nobody)
}

// answer reads yes or no. Where nobody answers, it fails with what to do.
func (env *app) answer(nobody string) (bool, error) {
	line, err := bufio.NewReader(env.Files.In).ReadString('\n')
	if err != nil && line == "" {
		return false, usage("%s", nobody)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "yes" || answer == "y", nil
}
