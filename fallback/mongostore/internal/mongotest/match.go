package mongotest

import (
	"bytes"
	"cmp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// matches reports whether a document matches a filter. It supports equality,
// $gt and $lte of numbers, dates, texts and binary values.
func matches(filter, doc bson.Raw) (bool, error) {
	elements, err := filter.Elements()
	if err != nil {
		return false, err
	}
	all := true
	for _, e := range elements { // check all elements, to find errors in the filter
		found, err := matchField(e.Key(), e.Value(), doc)
		if err != nil {
			return false, err
		}
		all = all && found
	}
	return all, nil
}

func matchField(key string, want bson.RawValue, doc bson.Raw) (bool, error) {
	if strings.HasPrefix(key, "$") || strings.Contains(key, ".") {
		return false, wrong("unknown operator or path: %s", key)
	}
	have := doc.Lookup(key)
	conditions, isDoc := want.DocumentOK()
	if !isDoc {
		order, comparable, err := compare(have, want)
		return comparable && order == 0, err
	}
	operators, err := conditions.Elements()
	if err != nil || len(operators) == 0 {
		return false, wrong("a comparison with a document")
	}
	all := true
	for _, e := range operators {
		order, comparable, err := compare(have, e.Value())
		if err != nil {
			return false, err
		}
		switch e.Key() {
		case "$gt":
			all = all && comparable && order > 0
		case "$lte":
			all = all && comparable && order <= 0
		default:
			return false, wrong("unknown operator: %s", e.Key())
		}
	}
	return all, nil
}

// compare orders two values. Values of different types cannot be compared: a
// filter matches only values of its own type.
func compare(have, want bson.RawValue) (order int, comparable bool, err error) {
	switch want.Type {
	case bson.TypeInt32, bson.TypeInt64:
		a, isNumber := have.AsInt64OK()
		return cmp.Compare(a, want.AsInt64()), isNumber && have.Type != bson.TypeDouble, nil
	case bson.TypeDateTime:
		a, isDate := have.DateTimeOK()
		return cmp.Compare(a, want.DateTime()), isDate, nil
	case bson.TypeString:
		a, isText := have.StringValueOK()
		return cmp.Compare(a, want.StringValue()), isText, nil
	case bson.TypeBinary:
		order, comparable = compareBinary(have, want)
		return order, comparable, nil
	}
	return 0, false, wrong("a comparison with a value of the kind %s", want.Type)
}

// compareBinary compares the lengths first, as MongoDB does.
func compareBinary(have, want bson.RawValue) (int, bool) {
	subtypeA, a, isBinary := have.BinaryOK()
	subtypeB, b := want.Binary()
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(subtypeA, subtypeB), bytes.Compare(a, b)), isBinary
}

// project keeps the fields of a projection and _id.
func project(doc, projection bson.Raw) (bson.Raw, error) {
	if projection == nil {
		return doc, nil
	}
	wanted, err := projection.Elements()
	if err != nil {
		return nil, err
	}
	for _, e := range wanted {
		if n, ok := e.Value().AsInt64OK(); !ok || n != 1 || strings.ContainsAny(e.Key(), "$.") {
			return nil, wrong("a projection that does not include fields")
		}
	}
	elements, err := doc.Elements()
	if err != nil {
		return nil, err
	}
	kept := bson.D{}
	for _, e := range elements {
		if e.Key() == "_id" || len(wanted) == 0 || has(projection, e.Key()) {
			kept = append(kept, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	return bson.Marshal(kept)
}
