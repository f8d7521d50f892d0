# Escapes a line of a command's output for a JSON string, and hides secrets in URLs. The input has no control characters and at most 1000 bytes per
# line. Runs with LC_ALL=C, so it processes bytes.
/^$/d
/[\x80-\xff]/{
    # Marks valid UTF-8 sequences and drops all other high bytes (truncation may have split the last sequence).
    s/[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/\x01&\x02/g
    s/\x01([^\x02]*)\x02|[\x80-\xff]/\1/g
}
# Hides user name, password and query of URLs.
/:\/\//{
    s,(://)[^/?#[:space:]]*@,\1***@,g
    s,(://[^?#[:space:]]*[?#])[^[:space:]]+,\1***,g
}
s/[\\"]/\\&/g
s/\t/\\t/g
