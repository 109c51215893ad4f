package mongotest

import (
	"bytes"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// createIndexes supports ascending indexes of one field with a time to live.
func (s *Server) createIndexes(r request) (bson.D, error) {
	indexes, err := r.steps("indexes", "key", "name", "expireAfterSeconds")
	if err != nil {
		return nil, err
	}
	if len(indexes) != 1 {
		return nil, wrong("more than one index")
	}
	c := s.into(r.namespace)
	before := len(c.indexes) + 1 // including that of _id
	if err := c.addIndex(indexes[0]); err != nil {
		return nil, err
	}
	return bson.D{{Key: "numIndexesBefore", Value: int32(before)}, {Key: "numIndexesAfter", Value: int32(len(c.indexes) + 1)},
		{Key: "createdCollectionAutomatically", Value: false}}, nil
}

func (c *collection) addIndex(index bson.Raw) error {
	name, isName := index.Lookup("name").StringValueOK()
	key, isKey := index.Lookup("key").DocumentOK()
	if !isName || !isKey || name == "" || keyField(key) == "" {
		return wrong("an index without a name, or of more than one field")
	}
	if value := index.Lookup("expireAfterSeconds"); !value.IsZero() {
		if n, ok := value.AsInt64OK(); !ok || n < 0 {
			return wrong("expireAfterSeconds is no number of seconds")
		}
	}
	for _, there := range c.indexes {
		sameName := there.Lookup("name").StringValue() == name
		sameKey := bytes.Equal(there.Lookup("key").Document(), key)
		sameTime := bytes.Equal(there.Lookup("expireAfterSeconds").Value, index.Lookup("expireAfterSeconds").Value)
		switch {
		case sameName && sameKey && sameTime:
			return nil
		case sameName && !sameKey:
			return &failure{86, "IndexKeySpecsConflict", fmt.Sprintf("An existing index has the same name as the requested index: %s", name)}
		case sameName:
			return &failure{85, "IndexOptionsConflict", "An equivalent index already exists with the same name but different options."}
		case sameKey:
			return &failure{85, "IndexOptionsConflict", "Index already exists with a different name: " + there.Lookup("name").StringValue()}
		}
	}
	c.indexes = append(c.indexes, bytes.Clone(index))
	return nil
}

// keyField returns the only field of an ascending index, or "".
func keyField(key bson.Raw) string {
	elements, err := key.Elements()
	if err != nil || len(elements) != 1 {
		return ""
	}
	if order, ok := elements[0].Value().AsInt64OK(); !ok || order != 1 {
		return ""
	}
	return elements[0].Key()
}

func (s *Server) listIndexes(r request) (bson.D, error) {
	c := s.collections[r.namespace]
	if c == nil {
		return nil, &failure{26, "NamespaceNotFound", "ns does not exist: " + r.namespace}
	}
	list := bson.A{bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "name", Value: "_id_"}}}
	for _, index := range c.indexes {
		list = append(list, index)
	}
	return cursor(r.namespace, list), nil
}

// Expire removes documents whose time to live has passed, by the server's
// clock, as a server does once a minute. It returns their number.
func (s *Server) Expire() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.collections {
		for _, index := range c.indexes {
			if seconds, ok := index.Lookup("expireAfterSeconds").AsInt64OK(); ok {
				n += c.expire(keyField(index.Lookup("key").Document()), s.opt.Clock().Add(-time.Duration(seconds)*time.Second))
			}
		}
	}
	return n
}

func (c *collection) expire(field string, before time.Time) (n int) {
	for key, doc := range c.docs {
		if date, ok := doc.Lookup(field).DateTimeOK(); ok && date <= before.UnixMilli() {
			delete(c.docs, key)
			n++
		}
	}
	return n
}
