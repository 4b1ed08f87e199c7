package render

import "strings"

// DefaultHTML is an HTML body for mails about an event type, with macros, in the words of DefaultBody: an offer for recipients
// that want one. It has its styles inline, since mail readers drop others; it sets no colours of text or ground but faint lines and
// a grey that can be read on both, so that readers in the dark show it as they show other mail; and it loads nothing.
func DefaultHTML(eventType string) string {
	d := defaultMailOf(eventType)
	var b strings.Builder
	b.WriteString(htmlHead)
	b.WriteString(`<h1 style="margin:0 0 4px;font-size:20px;line-height:1.3;font-weight:600">` + d.title + "</h1>\n")
	if d.says != d.title {
		b.WriteString(`<p style="margin:0 0 16px">` + d.says + "</p>\n")
	}
	b.WriteString(`<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="100%" style="border-collapse:collapse">` + "\n")
	for _, f := range d.facts {
		b.WriteString(`<tr><td valign="top" style="` + lineStyle + `;width:120px;color:#767676">` + f.label +
			`</td><td valign="top" style="` + lineStyle + `;word-break:break-word">` + f.macro + "</td></tr>\n")
	}
	for _, f := range d.blocks {
		b.WriteString(`<tr><td colspan="2" style="padding:16px 0 0"><div style="margin:0 0 4px;color:#767676">` + f.label +
			`</div><pre style="margin:0;font-family:inherit;font-size:inherit;white-space:pre-wrap;word-break:break-word">` + f.macro +
			"</pre></td></tr>\n")
	}
	b.WriteString("</table>\n" + htmlFoot)
	return b.String()
}

const lineStyle = "padding:7px 12px 7px 0;border-bottom:1px solid #80808055"

const htmlHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>%EVENT_LABEL%</title>
</head>
<body style="margin:0;padding:0">
<div style="max-width:600px;margin:0 auto;padding:24px 16px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.45">
`

const htmlFoot = `<p style="margin:24px 0 0;font-size:12px;color:#767676">Sent by Outbound. Event %EVENT_ID%</p>
</div>
</body>
</html>
`
