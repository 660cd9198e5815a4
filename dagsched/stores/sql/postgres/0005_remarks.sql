-- What a scheduler says of itself, for whoever asks anywhere: that its job files are not those in force.
ALTER TABLE schedulers ADD COLUMN remark text NOT NULL DEFAULT '';
