# What the player of a replay says (src/ear), and the player on other people's pages (src/embed). The same keys stand in ../ar/ear.ftl. Resolved at build time
# into their scripts: only plain variables and one selector per message are allowed.

## The player of a replay

ear-next = Next speaker
ear-previous = Previous speaker
ear-chapters = Who speaks when
ear-moment = Link to this moment
ear-moment-hint = Whoever opens this link begins here.
ear-clip = Make a clip
ear-clip-hint = Up to 90 seconds, as a link or a file.
ear-clip-from = From
ear-clip-to = To
ear-clip-here = Now
ear-clip-length = { $length } long
ear-clip-link = Link to the clip
ear-clip-play = Open the clip
ear-clip-off = The host has not allowed clips of this conversation.
ear-copy = Copy
ear-copied = Copied.
ear-copy-by-hand = Copy the marked link by hand.

## The player on other pages

embed-play = Listen
embed-pause = Pause
embed-live = Live
embed-scheduled = Not started yet
embed-over = The conversation is over.
embed-replay = Recording
embed-position = Position
embed-position-text = { $position } of { $duration }
embed-invited = This conversation is by invitation.
embed-missing = There is no such conversation.
embed-trouble = It cannot be heard just now. Press to try again.
embed-wait = More people came than can listen at once. Leave this page open: a place is asked for again by itself in about { $left }.
embed-page = Open the conversation’s page
