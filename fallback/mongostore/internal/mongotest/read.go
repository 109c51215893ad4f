package mongotest

import (
	"go.mongodb.org/mongo-driver/v2/bson"
)

// found returns the keys of the documents that match a filter.
func (s *Server) found(namespace string, filter bson.Raw) (keys []string, err error) {
	if _, err := matches(filter, bson.Raw{5, 0, 0, 0, 0}); err != nil {
		return nil, err // also if there is no document
	}
	c := s.collections[namespace]
	if c == nil {
		return nil, nil
	}
	if id := filter.Lookup("_id"); !id.IsZero() {
		key, err := idKey(id)
		if err != nil {
			return nil, err
		}
		doc, ok := c.docs[key]
		if !ok {
			return nil, nil
		}
		if fits, err := matches(filter, doc); !fits {
			return nil, err
		}
		return []string{key}, nil
	}
	for key, doc := range c.docs {
		if fits, _ := matches(filter, doc); fits {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// find returns one document, or all that fit into one answer.
func (s *Server) find(r request) (bson.D, error) {
	filter, ok := r.doc.Lookup("filter").DocumentOK()
	if !ok || r.namespace == "" {
		return nil, wrong("find needs a collection and a filter")
	}
	var projection bson.Raw
	if value := r.doc.Lookup("projection"); !value.IsZero() {
		if projection, ok = value.DocumentOK(); !ok {
			return nil, wrong("the projection is no document")
		}
	}
	limit := r.doc.Lookup("limit")
	if n, ok := limit.AsInt64OK(); !ok || n != 1 || !r.doc.Lookup("singleBatch").Boolean() {
		return nil, wrong("find without the limit of one document")
	}
	keys, err := s.found(r.namespace, filter)
	if err != nil {
		return nil, err
	}
	docs := bson.A{}
	for _, key := range keys[:min(1, len(keys))] {
		doc, err := project(s.collections[r.namespace].docs[key], projection)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return cursor(r.namespace, docs), nil
}

func cursor(namespace string, docs bson.A) bson.D {
	return bson.D{{Key: "cursor", Value: bson.D{
		{Key: "firstBatch", Value: docs}, {Key: "id", Value: int64(0)}, {Key: "ns", Value: namespace}}}}
}

// aggregate supports counting: $match, and $group with a $sum of 1.
func (s *Server) aggregate(r request) (bson.D, error) {
	var pipeline []bson.Raw
	if err := r.doc.Lookup("pipeline").Unmarshal(&pipeline); err != nil || len(pipeline) != 2 || r.namespace == "" {
		return nil, wrong("an aggregation that does not count")
	}
	if err := only(pipeline[0], "$match"); err != nil {
		return nil, err
	}
	if group := pipeline[1].String(); group != `{"$group": {"_id": {"$numberInt":"1"},"n": {"$sum": {"$numberInt":"1"}}}}` {
		return nil, wrong("an aggregation that does not count: %s", group)
	}
	filter, ok := pipeline[0].Lookup("$match").DocumentOK()
	if !ok {
		return nil, wrong("$match needs a filter")
	}
	keys, err := s.found(r.namespace, filter)
	if err != nil {
		return nil, err
	}
	docs := bson.A{}
	if len(keys) > 0 {
		docs = append(docs, bson.D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: int32(len(keys))}})
	}
	return cursor(r.namespace, docs), nil
}
