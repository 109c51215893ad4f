// Package dynamostore keeps Carryon's records in Amazon DynamoDB.
package dynamostore
