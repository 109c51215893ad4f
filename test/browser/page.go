package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Text is the text of the first element that a CSS selector matches.
func Text(tab Tab, selector string) (string, error) {
	var text string
	err := tab.Eval(element(selector)+".textContent.trim()", &text)
	return text, err
}

// Location is the address of the page, after redirects.
func Location(tab Tab) (string, error) {
	var address string
	err := tab.Eval("location.href", &address)
	return address, err
}

// Fill writes into a field of a form.
func Fill(tab Tab, selector, value string) error {
	return tab.Eval(fmt.Sprintf(
		"(e => { e.value = %s; e.dispatchEvent(new Event('input', {bubbles: true})) })(%s)",
		quote(value), element(selector)), nil)
}

// Click clicks an element that changes the page it is on.
func Click(tab Tab, selector string) error {
	return tab.Eval(element(selector)+".click()", nil)
}

// loaded is true in a page that is complete and not the one that was marked as
// left, nor the empty one that Firefox shows in between.
const loaded = "!window.carryonLeaving && document.readyState === 'complete' && location.href !== 'about:blank'"

// Follow clicks a link or a button and waits until the page that it leads to
// has loaded.
func Follow(tab Tab, selector string) error {
	click := "(window.carryonLeaving = true, " + element(selector) + ".click())"
	if err := tab.Eval(click, nil); err != nil {
		return err
	}
	return Until(tab, loaded)
}

// Until waits until a JavaScript expression is true.
func Until(tab Tab, expression string) error {
	deadline := time.Now().Add(Patience)
	for {
		var done bool
		// Between two pages there is nothing to evaluate in: ask again.
		err := tab.Eval("!!("+expression+")", &done)
		if err == nil && done {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("never true: %s", expression), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// element is JavaScript for the first element that the selector matches; it
// throws where there is none.
func element(selector string) string {
	s := quote(selector)
	return fmt.Sprintf("(document.querySelector(%s) ?? (() => { throw new Error('no element ' + %s) })())", s, s)
}

// quote writes a string as JavaScript.
func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// asJSON wraps an expression so that its awaited value comes back as JSON
// text, the same from both browsers.
func asJSON(expression string) string {
	return "(async () => JSON.stringify(await (" + expression + ")) ?? 'null')()"
}

// fromJSON decodes what asJSON gave.
func fromJSON(text string, into any) error {
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(into); err != nil {
		return fmt.Errorf("the page's answer %.200s does not fit: %w", text, err)
	}
	return nil
}
