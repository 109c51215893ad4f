package mongostore

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/carryon-go/carryon/fallback"
)

// Check implements [fallback.Checker]. It reads the server's version, the
// collection's options and its indexes. It also reads and deletes a record
// that does not exist, with the store's read and write concerns, to detect a
// majority that does not answer. It changes nothing.
func (s *Store) Check(ctx context.Context) error {
	engine, findings, err := s.checkServer(withoutSession(ctx))
	if err == nil {
		var more []fallback.Finding
		more, err = s.checkCollection(withoutSession(ctx))
		findings = append(findings, more...)
	}
	if err == nil {
		var more []fallback.Finding
		more, err = s.checkConcerns(withoutSession(ctx))
		findings = append(findings, more...)
	}
	if err != nil {
		return fail(ctx, "check the server", err)
	}
	return fallback.NewCheckError(engine, findings)
}

func (s *Store) checkServer(ctx context.Context) (engine string, findings []fallback.Finding, err error) {
	var info struct {
		Version string
		Ferret  string `bson:"ferretdbVersion"` // FerretDB 1 only
	}
	admin := s.many.Database().Client().Database("admin")
	if err := admin.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return "", nil, err
	}
	if info.Ferret == "" {
		major, _, _ := strings.Cut(info.Version, ".")
		if n, err := strconv.Atoi(major); err == nil && n < 4 {
			findings = append(findings, fallback.Finding{Setting: "version", Value: info.Version,
				Effect: "the driver does not support it", Fix: "use MongoDB 4.2 or later"})
		}
		return "MongoDB " + info.Version, findings, nil
	}
	return "FerretDB " + info.Ferret, []fallback.Finding{{Setting: "server", Value: "FerretDB 1",
		Effect: "two concurrent writers can both be told that they won, so writes and logouts are lost",
		Fix:    "use MongoDB, or sqlstore over the same PostgreSQL"}}, nil
}

func (s *Store) checkCollection(ctx context.Context) (findings []fallback.Finding, err error) {
	named := bson.D{{Key: "name", Value: s.many.Name()}}
	specs, err := s.many.Database().ListCollectionSpecifications(ctx, named)
	if err != nil {
		return nil, err
	}
	for _, spec := range specs {
		if capped, ok := spec.Options.Lookup("capped").BooleanOK(); ok && capped {
			findings = append(findings, fallback.Finding{Setting: "capped", Value: "true",
				Effect: "when it is full, the oldest records are dropped, including logouts", Fix: "use another collection"})
		}
	}
	indexes, err := s.many.Indexes().ListSpecifications(ctx)
	if err != nil {
		return nil, err
	}
	return append(findings, checkIndexes(indexes)...), nil
}

func checkIndexes(indexes []mongo.IndexSpecification) (findings []fallback.Finding) {
	removes := false
	for _, i := range indexes {
		keys, err := i.KeysDocument.Elements()
		single := err == nil && len(keys) == 1
		switch {
		case single && keys[0].Key() == fieldExpires && i.ExpireAfterSeconds != nil && *i.ExpireAfterSeconds >= grace:
			removes = true
		case single && keys[0].Key() == fieldID:
		case i.ExpireAfterSeconds != nil:
			findings = append(findings, fallback.Finding{Setting: "index " + i.Name,
				Value:  "expireAfterSeconds " + strconv.Itoa(int(*i.ExpireAfterSeconds)),
				Effect: "it removes records that replicas with slow clocks still use", Fix: "drop it and call Store.Migrate"})
		case i.Unique != nil && *i.Unique:
			findings = append(findings, fallback.Finding{Setting: "index " + i.Name, Value: "unique",
				Effect: "it refuses records", Fix: "drop it"})
		}
	}
	if !removes {
		findings = append(findings, fallback.Finding{Setting: "index " + IndexName, Value: "missing",
			Effect: "records that have expired are never removed", Fix: "call Store.Migrate, or run the command of Schema"})
	}
	return findings
}

func (s *Store) checkConcerns(ctx context.Context) ([]fallback.Finding, error) {
	const id = "carryon check"
	_, err := s.Load(ctx, id)
	if errors.Is(err, errAlone) {
		return []fallback.Finding{{Setting: "readConcern", Value: "linearizable", Effect: "a standalone server refuses every read",
			Fix: "make it a replica set, or set Options.MajorityReads"}}, nil
	}
	if err != nil && !errors.Is(err, fallback.ErrNotFound) {
		return nil, err
	}
	return nil, s.Delete(ctx, id)
}
