package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed assets
var ownAssets embed.FS

// assets are the static files of the pages. Their addresses contain a content hash, so that browsers cache them forever.
type assets struct {
	content map[string][]byte
	hash    map[string]string
}

// hashLength is the length of a hash in an address.
const hashLength = 12

func openAssets() (*assets, error) {
	a := &assets{content: map[string][]byte{}, hash: map[string]string{}}
	err := fs.WalkDir(ownAssets, "assets", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(ownAssets, p)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		a.content[path.Base(p)], a.hash[path.Base(p)] = content, base64.RawURLEncoding.EncodeToString(sum[:])[:hashLength]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the console's assets: %w", err)
	}
	return a, nil
}

// address returns the address of a file.
func (a *assets) address(name string) (string, error) {
	hash, ok := a.hash[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return "/assets/" + hash + "/" + name, nil
}

// ServeHTTP serves a file, if the hash in the address is current.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, ok := a.content[name]
	if !ok || a.hash[name] != r.PathValue("hash") {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	kind := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) {
	case ".js":
		kind = "text/javascript; charset=utf-8"
	case ".css":
		kind = "text/css; charset=utf-8"
	case ".svg":
		kind = "image/svg+xml"
	case ".LICENSE":
		kind = "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(content)
}
