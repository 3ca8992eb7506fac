"""Spaces: what several partners write together, as a graph of signed entries, and what holds by it (docs/spaces.md).

Pure, but for those behind `travel`: entries that were taken in go in, a state comes out; equal sets give equal states, whatever the
order of arrival.

Each file stands on those before it: `acts` (what deciding entries say) - `vertex` (an entry and its past) - `interface`, `registry` (the kinds of space) -
`entry_graph` - `votes`, `authority` (who leads, who is a member, by whose votes) - `effects` (which entries have an
effect) - `fold` (the state, kept up to date) - `canonical` (its bytes), `taking_in` (what becomes of an entry that
comes), `writing` (where the next own one stands), `parts` (what is larger than an entry), `heads` (what a member holds), `entry_frames` (both in an
envelope), `entitlement` (who may have what), `travel` (what goes to whom, and when), `space_store` (the tables), `spaces` (what one node does with all that),
`space_exchange`, `reading_entries` (how it leaves and comes in). A kind of space is
one file and one row: `notebook`; `incident`, with `incident_entries`, `incident_telling` and `incident_restating` beside it; `lab`, with `lab_entries`. Kinds share
`entry_fields`, `closing` and `register_clock`. `incident_views` and `lab_views` make the rows that a SIEM reads, both by `view_rounds`.
"""
