package grafana

import "cmp"

// object is one of JSON.
type object = map[string]any

// source is the Prometheus that is chosen at the top of the dashboard.
func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

// page is the dashboard in Grafana's form.
func page(rows []row) object {
	return object{
		"uid":           "schoolbell",
		"title":         "schoolbell",
		"description":   "What schoolbell does, for the people on call. Written by go test ./deploy/grafana -update.",
		"tags":          []string{"schoolbell"},
		"schemaVersion": 39,
		"editable":      true,
		"graphTooltip":  1, // the crosshair stands in all panels
		"refresh":       "30s",
		"time":          object{"from": "now-3h", "to": "now"},
		"templating": object{"list": []object{
			{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
			choice("job", "label_values(schoolbell_build_info, job)", false),
			choice("instance", `label_values(schoolbell_build_info{job="$job"}, instance)`, true),
		}},
		"annotations": object{"list": []object{{
			"name": "Alerts", "enable": true, "iconColor": "red", "datasource": source(),
			"expr": `ALERTS{alertname=~"Schoolbell.*", alertstate="firing"}`, "titleFormat": "{{alertname}}",
		}}},
		"panels": lay(rows),
	}
}

// choice is a list at the top of the dashboard, of what there is.
func choice(name, query string, several bool) object {
	return object{
		"name": name, "label": name, "type": "query", "datasource": source(), "query": query, "definition": query,
		"refresh": 2, "sort": 1, "includeAll": several, "multi": several,
		"current": object{},
	}
}

// lay puts the panels onto the page, row by row and from the left.
func lay(rows []row) []object {
	var panels []object
	x, y, height := 0, 0, 0
	add := func(o object, w, h int) {
		if x+w > 24 {
			x, y, height = 0, y+height, 0
		}
		o["id"], o["gridPos"] = len(panels)+1, object{"x": x, "y": y, "w": w, "h": h}
		panels = append(panels, o)
		x, height = x+w, max(height, h)
	}
	for _, r := range rows {
		x, y, height = 0, y+height, 0
		add(object{"type": "row", "title": r.title, "collapsed": false, "panels": []object{}}, 24, 1)
		for _, p := range r.panels {
			w, h := p.size()
			add(p.object(), w, h)
		}
	}
	return panels
}

func (p panel) size() (w, h int) {
	if p.kind == number {
		return cmp.Or(p.width, 3), 4
	}
	return cmp.Or(p.width, 8), 8
}

func (p panel) object() object {
	field := object{"unit": p.unit, "color": object{"mode": "palette-classic"}}
	if p.most != 0 {
		field["min"], field["max"] = 0, p.most
	}
	if p.words != nil {
		field["mappings"] = p.mappings()
	}
	if p.kind == number {
		field["color"] = object{"mode": "fixed", "fixedColor": "text"}
	}
	o := object{
		"type": p.kind, "title": p.title, "description": p.says, "datasource": source(),
		"fieldConfig": object{"defaults": field, "overrides": []object{}},
		"options":     p.options(),
	}
	var targets []object
	for i, q := range p.queries {
		t := object{
			"refId": string(rune('A' + i)), "datasource": source(), "expr": chosen(q.expr), "legendFormat": q.legend,
			"range": p.kind != number, "instant": p.kind == number,
		}
		if p.kind == heat {
			t["format"] = "heatmap"
		}
		targets = append(targets, t)
	}
	o["targets"] = targets
	return o
}

func (p panel) mappings() []object {
	words := object{}
	for value, word := range p.words {
		words[value] = object{"text": word, "color": map[bool]string{true: "red", false: "green"}[value == p.bad]}
	}
	return []object{{"type": "value", "options": words}}
}

func (p panel) options() object {
	switch p.kind {
	case number:
		text := "value"
		if len(p.queries) > 1 {
			text = "value_and_name"
		}
		return object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "textMode": text, "colorMode": "value"}
	case heat:
		return object{"calculate": false, "yAxis": object{"unit": p.unit}, "color": object{"scheme": "Oranges", "mode": "scheme"}}
	default:
		return object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	}
}
