package review_test

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/cardvault/cardvault/vault/review"
)

// probe looks at a page and says what is wrong with it.
//
//go:embed testdata/probe.js
var probe string

// look is what the probe returns.
type look struct {
	Problems []string `json:"problems"`
	Columns  int      `json:"columns"`
	Bars     int      `json:"bars"`
	Lines    int      `json:"lines"`
	Title    string   `json:"title"`
	Scripts  int      `json:"scripts"`
}

// browser starts a headless one. Each context made from what it returns is a tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("there is no chromium, chromium-browser or google-chrome in PATH: run make setup")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // which root cannot have; the pages are ours
	)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser is gone
		stopBrowser()
	})
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// witnessed collects what a page must not do: write to the console, fail, ask for
// anything but itself, open a dialog.
type witnessed struct {
	mu   sync.Mutex
	page string
	seen []string
}

func (w *witnessed) event(ev any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		w.seen = append(w.seen, "console."+string(ev.Type))
	case *runtime.EventExceptionThrown:
		w.seen = append(w.seen, "exception: "+ev.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		w.seen = append(w.seen, "log: "+ev.Entry.Text)
	case *network.EventRequestWillBeSent:
		if ev.Request.URL != w.page {
			w.seen = append(w.seen, "request: "+ev.Request.URL)
		}
	case *page.EventJavascriptDialogOpening:
		w.seen = append(w.seen, "dialog: "+ev.Message)
	}
}

// setting is how a page is looked at.
type setting struct {
	name, media, scheme string
	width               int64
}

func settings() []setting {
	return []setting{
		{"phone light", "screen", "light", 360},
		{"phone dark", "screen", "dark", 360},
		{"desk dark", "screen", "dark", 1280},
		{"desk light", "screen", "light", 1280},
		{"paper", "print", "light", 718}, // A4 within its margins
		{"tablet light", "screen", "light", 800},
	}
}

// TestPageInBrowser looks at pages in a true browser, in every setting: it loads
// from a file without asking for anything else, runs nothing, and all of its text
// and columns can be seen.
func TestPageInBrowser(t *testing.T) {
	tests := map[string]struct {
		report        *review.Report
		columns, bars int
	}{
		"ordinary":  {ordinary(), 30 + 29, 3 + 4 + 2},
		"hostile":   {hostile(), 2 * len(hostileNames()), 3 * len(hostileNames())},
		"empty":     {review.New(month()), 0, 0},
		"long ago":  {decade(), 36, 2},
		"one":       {oneEntry(), 1, 2},
		"full rows": {overfull(), 30 + 30, -1},
	}
	ctx := browser(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := writePage(t, tt.report)
			for i, s := range settings() {
				if name != "ordinary" && i%2 == 1 {
					continue // half of them show what the others do
				}
				t.Run(s.name, func(t *testing.T) {
					got := view(ctx, t, file, s)
					for _, problem := range got.Problems {
						t.Error(problem)
					}
					if got.Columns != tt.columns || tt.bars >= 0 && got.Bars != tt.bars {
						t.Errorf("%d columns and %d bars, want %d and %d", got.Columns, got.Bars, tt.columns, tt.bars)
					}
					if got.Lines < 20 || got.Scripts != 0 || !strings.HasPrefix(got.Title, "Audit log review, ") {
						t.Errorf("title %q, %d lines of text, %d scripts", got.Title, got.Lines, got.Scripts)
					}
				})
			}
		})
	}
}

func writePage(t *testing.T, r *review.Report) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHTML(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// view opens the page in a tab of its own, has the probe look at it, and keeps a
// picture for people (go test -artifacts).
func view(browser context.Context, t *testing.T, file string, s setting) look {
	t.Helper()
	tab, closeTab := chromedp.NewContext(browser)
	defer closeTab()
	tab, stop := context.WithTimeout(tab, 3*time.Minute)
	defer stop()

	seen := &witnessed{page: "file://" + file}
	if err := chromedp.Listen(tab, seen.event); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab,
		send(network.Enable, network.EnableParams{}), send(cdplog.Enable, cdp.Empty{}),
		send(runtime.Enable, cdp.Empty{}), send(page.Enable, page.EnableParams{}),
		send(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: s.width, Height: 900, DeviceScaleFactor: 1, Mobile: s.width < 500,
		}),
		send(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media:    s.media,
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}},
		}),
		chromedp.Navigate(seen.page),
	); err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(tab, chromedp.Evaluate[look](probe))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := chromedp.Run(tab, picture(s))
	if err != nil {
		t.Fatal(err)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for _, what := range seen.seen {
		t.Error(what)
	}
	name := filepath.Join(t.ArtifactDir(), strings.ReplaceAll(t.Name(), "/", "_")+".png")
	if err := os.WriteFile(name, picture, 0o600); err != nil {
		t.Fatal(err)
	}
	return got
}

// picture shows the page from its top, as far as a person looks.
func picture(s setting) chromedp.Action[[]byte] {
	return func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		result, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{
			CaptureBeyondViewport: new(true),
			Clip:                  &page.Viewport{Width: float64(s.width), Height: 4000, Scale: 1},
		})
		return result.Data, err
	}
}

func send[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// TestProbeFindsFaults shows that the probe is not blind.
func TestProbeFindsFaults(t *testing.T) {
	tests := map[string]struct{ from, to, want string }{
		"script":      {"</main>", "</main><script>1</script>", "an element that has no place here"},
		"handler":     {"<main>", "<main onclick=1>", "an attribute that has no place here"},
		"wide":        {"<h1>Audit log review", "<h1>Audit" + strings.Repeat("x", 200), "text beyond the window"},
		"pale":        {`class="lead"`, `class="lead" style="color:#ccc"`, "pale text"},
		"overlap":     {`class="lead"`, `class="lead" style="margin-top:-30px"`, "text over text"},
		"thin column": {`class="plot"`, `class="plot" style="width:80px"`, "column too small"},
		"no columns":  {"</style>", "rect{fill:#fff!important}</style>", "pale column"},
	}
	ctx := browser(t)
	var b strings.Builder
	if err := ordinary().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	// Without its policy, or the browser would not let the faults in.
	clean := dropPolicy(t, b.String())
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "report.html")
			text := strings.Replace(clean, tt.from, tt.to, 1)
			if text == clean {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := view(ctx, t, file, settings()[0])
			if !slices.ContainsFunc(got.Problems, func(p string) bool { return strings.HasPrefix(p, tt.want) }) {
				t.Errorf("problems %q, want %q", got.Problems, tt.want)
			}
		})
	}
}

func dropPolicy(t *testing.T, html string) string {
	t.Helper()
	before, rest, ok := strings.Cut(html, `<meta http-equiv="Content-Security-Policy"`)
	_, after, closed := strings.Cut(rest, ">")
	if !ok || !closed {
		t.Fatal("the page has no policy")
	}
	return before + after
}
