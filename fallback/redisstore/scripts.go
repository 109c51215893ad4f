package redisstore

import "github.com/redis/go-redis/v9"

// Each script looks at one key and changes that key only. What has expired by
// the caller's clock is as good as absent, whatever the server's clock says.
// What a script has done stays when one of its later commands is refused, so
// that no key may be without an expiry between two commands.

// saveScript compares and swaps. ARGV: the old revision or "", the new
// record, now, when the key goes. It answers 1 if the record stands. Where it
// stood before, its first bytes are written once more: WAIT waits for the last
// write of its connection, and that one may have been another's.
var saveScript = redis.NewScript(`
local head = redis.call('GETRANGE', KEYS[1], 0, 41)
if head ~= '' and (#head < 42 or string.sub(head, 1, 2) ~= 'c1') then
  return redis.error_reply('FOREIGN')
end
if head ~= '' and tonumber(string.sub(head, 27, 42)) > tonumber(ARGV[3]) then
  local stands = string.sub(head, 3, 26)
  if stands == string.sub(ARGV[2], 3, 26) then
    redis.call('SETRANGE', KEYS[1], 0, 'c1')
    return 1
  end
  if stands ~= ARGV[1] then return 0 end
elseif ARGV[1] ~= '' then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[4])
return 1
`)

// touchScript moves the expiry of a record that stands. ARGV: the expiry in 16
// digits, now, when the key goes. It answers 1 if there was one.
var touchScript = redis.NewScript(`
local head = redis.call('GETRANGE', KEYS[1], 0, 41)
if head == '' then return 0 end
if #head < 42 or string.sub(head, 1, 2) ~= 'c1' then
  return redis.error_reply('FOREIGN')
end
if tonumber(string.sub(head, 27, 42)) <= tonumber(ARGV[2]) then return 0 end
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('SETRANGE', KEYS[1], 26, ARGV[1])
return 1
`)
