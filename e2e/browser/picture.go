package browser

import (
	"bytes"
	"cmp"
	"context"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Picture is the page as it looks now, as a PNG: all of it, down to a height.
func (p *Page) Picture(most int) []byte {
	p.t.Helper()
	p.Do("scrollTo(0, 0)")
	width, tall := p.Number("innerWidth"), min(most, p.Number("Math.max(document.documentElement.offsetHeight, 400)"))
	var shot []byte
	p.do("take a picture", func(ctx context.Context, to *chromedp.Target) error {
		yes := true
		got, err := cdp.Call(ctx, to, page.CaptureScreenshot, page.CaptureScreenshotParams{
			CaptureBeyondViewport: &yes, Clip: &page.Viewport{Width: float64(width), Height: float64(tall), Scale: 1},
		})
		shot = got.Data
		return err
	})
	return smaller(p, shot)
}

// smaller writes a PNG anew with its 256 most frequent colours, which are all that text on plain ground needs, and the best compression.
func smaller(p *Page, shot []byte) []byte {
	p.t.Helper()
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		p.t.Fatalf("read the picture: %v", err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, paletted(full)); err != nil {
		p.t.Fatalf("write the picture: %v", err)
	}
	return out.Bytes()
}

// colours is how many a palette has at most.
const colours = 256

func paletted(full image.Image) *image.Paletted {
	size := full.Bounds()
	often := map[color.NRGBA]int{}
	at := func(x, y int) color.NRGBA { return color.NRGBAModel.Convert(full.At(x, y)).(color.NRGBA) }
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			often[at(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(often), func(a, b color.NRGBA) int {
		return cmp.Or(often[b]-often[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	var palette color.Palette
	for _, c := range all[:min(len(all), colours)] {
		palette = append(palette, c)
	}
	out, index := image.NewPaletted(size, palette), map[color.NRGBA]uint8{}
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			c := at(x, y)
			i, known := index[c]
			if !known {
				i = uint8(palette.Index(c)) //nolint:gosec // a palette has 256 colours at most
				index[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}
