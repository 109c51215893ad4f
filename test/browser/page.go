package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Text returns the text of the first element that a CSS selector matches.
func Text(tab Tab, selector string) (string, error) {
	var text string
	err := tab.Eval(element(selector)+".textContent.trim()", &text)
	return text, err
}

// Location returns the address of the page, after redirects.
func Location(tab Tab) (string, error) {
	var address string
	err := tab.Eval("location.href", &address)
	return address, err
}

// Fill sets the value of a form field.
func Fill(tab Tab, selector, value string) error {
	return tab.Eval(fmt.Sprintf(
		"(e => { e.value = %s; e.dispatchEvent(new Event('input', {bubbles: true})) })(%s)",
		quote(value), element(selector)), nil)
}

// Click clicks an element whose effect stays on the same page.
func Click(tab Tab, selector string) error {
	return tab.Eval(element(selector)+".click()", nil)
}

// loaded is true if the page is complete, is not the page that is being left,
// and is not the empty page that Firefox shows in between.
const loaded = "!window.carryonLeaving && document.readyState === 'complete' && location.href !== 'about:blank'"

// Follow clicks a link or a button and waits until the next page has loaded.
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
		// Evaluation fails between two pages; try again.
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

// element returns JavaScript for the first element that the selector matches.
// The JavaScript throws an error if there is none.
func element(selector string) string {
	s := quote(selector)
	return fmt.Sprintf("(document.querySelector(%s) ?? (() => { throw new Error('no element ' + %s) })())", s, s)
}

// quote returns a string as a JavaScript literal.
func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// asJSON wraps an expression so that both browsers return the awaited value in
// the same way, as JSON.
func asJSON(expression string) string {
	return "(async () => JSON.stringify(await (" + expression + ")) ?? 'null')()"
}

// fromJSON decodes the result of asJSON.
func fromJSON(text string, into any) error {
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(into); err != nil {
		return fmt.Errorf("cannot decode the page's result %.200s: %w", text, err)
	}
	return nil
}
