package main

import (
	"errors"
	"strings"
)

// shortestToken is what openssl rand -hex 8 makes: nobody finds it by trying.
const shortestToken = 16

// canPublish says what is wrong with the tokens of the services that may publish.
func canPublish(cfg Config) error {
	for _, token := range cfg.PublishTokens.Reveal() {
		foreign := strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' })
		if len(token) < shortestToken || foreign {
			return errors.New("publish_tokens has one that is shorter than 16 characters, or has others than visible ASCII, " +
				"which no header can carry; fix: make one with openssl rand -hex 32")
		}
	}
	return nil
}
