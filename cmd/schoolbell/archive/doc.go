// Package archive writes what somebody needs who helps from afar, and nothing else.
//
// In come files as texts; out goes one tar.gz of them, without secrets and without people.
//
// # Promises
//
//   - No secret that it was given is in any file, in none of the forms in which secrets
//     travel: as it is, escaped for an address or JSON, in hex, in base64 at any place.
//   - What looks like a credential or an e-mail address is taken out, known or not.
//   - A log loses who did something, and from where.
//
// It starts no goroutines.
package archive
