// Package certificate reads X.509 certificates and private keys in the forms in which people have them: PEM as tools, editors and chat
// programs leave it, DER, PKCS#7. It is the one place that does: what the API, the command line, the console and the options files take
// is read here, and read again here by those who verify with it.
//
// It returns every certificate of a text or says why it can't, with the command that converts the file: never fewer than there are.
// pem.go finds the blocks, der.go tells what is in one, key.go reads private keys.
package certificate
