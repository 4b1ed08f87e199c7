package process

import "runtime/debug"

// version is set by the linker: -ldflags "-X github.com/outbound-events/outbound/pkg/process.version=1.2.3".
var version string

// Version is the release this program was built as; without one, the module's version or the commit the Go tool saw.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}
