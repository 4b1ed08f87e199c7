package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/outbound-events/outbound/tools/deploytest/metrics"
)

//go:embed page.html
var layout string

// mostBytes is how large a picture may be: they are kept in the repository.
const mostBytes = 150_000

// page is a dashboard as it is drawn.
type page struct {
	Title, Time string
	Variables   []string
	Panels      []drawn
	Height      int
}

// newPage draws the panels of a dashboard.
func newPage(db *metrics.Database, s span, b board) (page, error) {
	out := page{Title: b.Title, Time: s.from.Format("15:04:05") + " to " + s.to.Format("15:04:05")}
	from, err := newSource(db, s, b)
	if err != nil {
		return out, err
	}
	for _, v := range b.Templating.List {
		if v.Type == "query" {
			out.Variables = append(out.Variables, v.Label+": All")
		}
	}
	for _, p := range b.Panels {
		d, err := from.draw(p)
		if err != nil {
			return out, err
		}
		if d.Empty {
			fmt.Fprintf(os.Stderr, "dashboards: %s: panel %q is empty\n", b.Title, p.Title)
		}
		out.Panels = append(out.Panels, d)
		out.Height = max(out.Height, int(d.Top+d.Height+gap))
	}
	return out, nil
}

// shoot writes a page into a folder and takes a picture of it.
func shoot(p page, dir, to string) error {
	t, err := template.New("page").Parse(layout)
	if err != nil {
		return err
	}
	source, shot := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.png")
	f, err := os.Create(source) //nolint:gosec // in a folder of ours
	if err != nil {
		return err
	}
	if err := t.Execute(f, p); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	//nolint:gosec // the browser is asked to look at a file that is written above
	browser := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--window-size="+strconv.Itoa(pageWidth)+","+strconv.Itoa(p.Height),
		"--screenshot="+shot, "file://"+source)
	if out, err := browser.CombinedOutput(); err != nil {
		return fmt.Errorf("take a picture: %w\n%s", err, out)
	}
	return smaller(shot, to)
}

// smaller writes a PNG anew with its most frequent colors and the best compression.
func smaller(from, to string) error {
	f, err := os.Open(from) //nolint:gosec // in a folder of ours
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	full, err := png.Decode(f)
	if err != nil {
		return fmt.Errorf("read the picture: %w", err)
	}
	var b strings.Builder
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, paletted(full)); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	if b.Len() > mostBytes {
		return fmt.Errorf("%s has %d bytes: more than %d", to, b.Len(), mostBytes)
	}
	fmt.Printf("%s (%d bytes)\n", filepath.Base(to), b.Len())
	return os.WriteFile(to, []byte(b.String()), 0o644) //nolint:gosec // a picture for everybody
}

// paletted is a picture with its 256 most frequent colors.
func paletted(full image.Image) *image.Paletted {
	size := full.Bounds()
	often := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			often[at(x, y)]++
		}
	}
	var all []color.RGBA
	for c := range often {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return often[a] > often[b] || often[a] == often[b] && fmt.Sprint(a) < fmt.Sprint(b)
	})
	var palette color.Palette
	for _, c := range all[:min(len(all), 256)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	for c := range often {
		nearest[c] = uint8(palette.Index(c)) //nolint:gosec // a palette has 256 colors at most
	}
	out := image.NewPaletted(size, palette)
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	return out
}
