module soarca

go 1.21

require github.com/google/uuid v1.6.0

replace github.com/google/uuid => ./uuid
