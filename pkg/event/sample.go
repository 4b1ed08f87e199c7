package event

import (
	"encoding/json"
	"time"
)

// TestAppliance is the source of test events. No real appliance may be called so.
const TestAppliance = "outbound-test"

// Sample makes an event of a type with the example values, for test events and previews. The custom fields named get a
// sample value each.
func Sample(t Type, appliance, id string, at time.Time, custom []string) *Event {
	data := map[string]any{"external_key": sampleExternalKey}
	for _, v := range t.Variables {
		if Reserved(v.Name) || v.Name == "external_key" || v.Name == "custom_fields" {
			continue
		}
		data[v.Name] = sampleValue(v.Example)
	}
	if len(custom) > 0 {
		fields := make(map[string]string, len(custom))
		for _, name := range custom[:min(len(custom), MaxCustomFields)] {
			fields[name] = "sample"
		}
		data["custom_fields"] = fields
	}
	// Maps of texts and valid JSON can always be encoded.
	raw, _ := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": appliance, "type": t.ID, "time": at.UTC().Format(time.RFC3339Nano),
		"subject": sampleSession, "datacontenttype": "application/json", "data": data,
	})
	e, _ := Decode(raw)
	return e
}

// sampleValue keeps an example that is an array as one, so that it reads in JSON as an appliance would send it.
func sampleValue(example string) any {
	if len(example) > 1 && example[0] == '[' && json.Valid([]byte(example)) {
		return json.RawMessage(example)
	}
	return example
}
