package mongotest

import (
	"bytes"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// idKey returns a map key for an _id.
func idKey(id bson.RawValue) (string, error) {
	switch id.Type {
	case bson.TypeBinary, bson.TypeString, bson.TypeObjectID:
		return fmt.Sprintf("%d %s", id.Type, id.Value), nil
	}
	return "", wrong("an _id of the kind %s", id.Type)
}

// into returns the collection of a write, and creates it if necessary.
func (s *Server) into(namespace string) *collection {
	if s.collections[namespace] == nil {
		s.collections[namespace] = &collection{docs: map[string]bson.Raw{}}
	}
	return s.collections[namespace]
}

// steps returns the statements of a write command. A retryable write other
// than an insert must have exactly one.
func (r request) steps(field string, fields ...string) (steps []bson.Raw, err error) {
	if err := r.doc.Lookup(field).Unmarshal(&steps); err != nil || len(steps) == 0 || r.namespace == "" {
		return nil, wrong("%s without a collection or %s", r.name, field)
	}
	for _, step := range steps {
		if fields == nil {
			continue
		}
		if err := only(step, fields...); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

func (s *Server) insert(r request) (bson.D, error) {
	docs, err := r.steps("documents")
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, wrong("an insert of more than one document")
	}
	doc := docs[0]
	if err := storable(doc); err != nil {
		return nil, err
	}
	key, err := idKey(doc.Lookup("_id"))
	if err != nil {
		return nil, err
	}
	c := s.into(r.namespace)
	if _, taken := c.docs[key]; taken {
		return bson.D{{Key: "n", Value: int32(0)}, {Key: "writeErrors", Value: bson.A{duplicate(r.namespace, doc)}}}, nil
	}
	c.docs[key] = bytes.Clone(doc)
	return bson.D{{Key: "n", Value: int32(1)}}, nil
}

func duplicate(namespace string, doc bson.Raw) bson.D {
	id := doc.Lookup("_id")
	return bson.D{{Key: "index", Value: int32(0)}, {Key: "code", Value: int32(11000)},
		{Key: "errmsg", Value: fmt.Sprintf("E11000 duplicate key error collection: %s index: _id_ dup key: { _id: %s }", namespace, id)},
		{Key: "keyPattern", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "keyValue", Value: bson.D{{Key: "_id", Value: id}}}}
}

// storable refuses a document that MongoDB would refuse or change.
func storable(doc bson.Raw) error {
	if len(doc) > maxDocument {
		return &failure{10334, "BSONObjectTooLarge", "object to insert too large"}
	}
	elements, err := doc.Elements()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, e := range elements {
		if key := e.Key(); strings.ContainsAny(key, "$.") || key == "" || seen[key] {
			return wrong("the field %q in a document", key)
		}
		seen[e.Key()] = true
	}
	return nil
}

func (s *Server) update(r request) (bson.D, error) {
	steps, err := r.steps("updates", "q", "u", "multi", "upsert")
	if err != nil {
		return nil, err
	}
	if len(steps) != 1 || truth(steps[0], "multi") || truth(steps[0], "upsert") {
		return nil, wrong("an update of more than one document, or one that inserts")
	}
	filter, isFilter := steps[0].Lookup("q").DocumentOK()
	change, isChange := steps[0].Lookup("u").DocumentOK()
	if !isFilter || !isChange {
		return nil, wrong("an update needs a filter and a change")
	}
	keys, err := s.found(r.namespace, filter)
	if err != nil {
		return nil, err
	}
	if err := checkChange(change); err != nil {
		return nil, err
	}
	n, modified := 0, 0
	for _, key := range keys[:min(1, len(keys))] {
		n = 1
		docs := s.collections[r.namespace].docs
		changed, err := changeDoc(docs[key], change)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(changed, docs[key]) {
			modified = 1
		}
		docs[key] = changed
	}
	return bson.D{{Key: "n", Value: int32(n)}, {Key: "nModified", Value: int32(modified)}}, nil
}

func truth(doc bson.Raw, key string) bool {
	yes, _ := doc.Lookup(key).BooleanOK()
	return yes || has(doc, key) && doc.Lookup(key).Type != bson.TypeBoolean
}

// checkChange accepts a whole document, and $set of fields other than _id.
func checkChange(change bson.Raw) error {
	if !has(change, "$set") {
		if has(change, "_id") {
			return wrong("a replacement with an _id")
		}
		return storable(change)
	}
	if err := only(change, "$set"); err != nil {
		return err
	}
	set, ok := change.Lookup("$set").DocumentOK()
	if !ok || has(set, "_id") {
		return wrong("$set of an invalid field")
	}
	return storable(set)
}

// changeDoc returns the changed document. _id stays the first field.
func changeDoc(doc, change bson.Raw) (bson.Raw, error) {
	after := bson.D{{Key: "_id", Value: doc.Lookup("_id")}}
	set, isSet := change.Lookup("$set").DocumentOK()
	if !isSet {
		return appendFields(after, change, nil, nil)
	}
	kept, err := appendFields(after, doc, set, nil)
	if err != nil {
		return nil, err
	}
	if err := bson.Unmarshal(kept, &after); err != nil {
		return nil, err
	}
	return appendFields(after, set, nil, doc)
}

// appendFields appends the fields of a document except _id. It uses the values
// in instead, and omits the fields in there.
func appendFields(to bson.D, from, instead, there bson.Raw) (bson.Raw, error) {
	elements, err := from.Elements()
	if err != nil {
		return nil, err
	}
	for _, e := range elements {
		key, value := e.Key(), e.Value()
		if key == "_id" || there != nil && has(there, key) {
			continue
		}
		if instead != nil && has(instead, key) {
			value = instead.Lookup(key)
		}
		to = append(to, bson.E{Key: key, Value: value})
	}
	return bson.Marshal(to)
}

func (s *Server) delete(r request) (bson.D, error) {
	steps, err := r.steps("deletes", "q", "limit")
	if err != nil {
		return nil, err
	}
	filter, ok := steps[0].Lookup("q").DocumentOK()
	limit, isLimit := steps[0].Lookup("limit").AsInt64OK()
	if len(steps) != 1 || !ok || !isLimit || limit < 0 || limit > 1 || limit == 0 && has(r.doc, "txnNumber") {
		return nil, wrong("a delete needs a filter and a limit")
	}
	keys, err := s.found(r.namespace, filter)
	if err != nil {
		return nil, err
	}
	if limit == 1 {
		keys = keys[:min(1, len(keys))]
	}
	for _, key := range keys {
		delete(s.collections[r.namespace].docs, key)
	}
	return bson.D{{Key: "n", Value: int32(len(keys))}}, nil
}
