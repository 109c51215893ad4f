package redisstore

import "github.com/redis/go-redis/v9"

// Each script reads and changes only its own key. A record that has expired by
// the caller's clock does not exist, whatever the server's clock says. If a
// later command of a script is refused, its earlier commands remain. So no key
// may be without an expiry between two commands.

// saveScript compares and swaps. ARGV: the old revision or "", the new record,
// now, the expiry of the key. It returns 1 if the record is stored. If it was
// stored before, the script rewrites its first bytes, because WAIT waits only
// for the last write of its own connection.
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

// touchScript changes the expiry of a live record. ARGV: the expiry in 16
// digits, now, the expiry of the key. It returns 1 if there was a record.
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
