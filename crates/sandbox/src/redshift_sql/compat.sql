-- Functions, aggregates and system views of Amazon Redshift that PostgreSQL lacks.
-- They live in pg_catalog, where Redshift has them too: found whatever the search_path,
-- invisible among the user's own objects. Run once per warehouse database, as superuser.
set allow_system_table_mods = on;

create domain pg_catalog.super as jsonb;

-- Dates and times -----------------------------------------------------------------------------
create function pg_catalog.getdate() returns timestamp language sql stable as
  $$ select (statement_timestamp() at time zone 'utc')::timestamp(0) $$;
create function pg_catalog.sysdate() returns timestamp language sql stable as
  $$ select now() at time zone 'utc' $$;

-- One interval of a date part; quarters, decades and the abbreviations Redshift knows included.
create function pg_catalog.redshift_interval(part text, n bigint) returns interval language sql immutable strict as $$
  select case
    when p in ('y','yr','yrs','year','years') then make_interval(years => n::int)
    when p in ('qtr','qtrs','quarter','quarters') then make_interval(months => 3 * n::int)
    when p in ('mon','mons','month','months') then make_interval(months => n::int)
    when p in ('w','week','weeks') then make_interval(weeks => n::int)
    when p in ('d','day','days','dayofyear','doy','dy') then make_interval(days => n::int)
    when p in ('h','hr','hrs','hour','hours') then n * interval '1 hour'
    when p in ('m','min','mins','minute','minutes') then n * interval '1 minute'
    when p in ('s','sec','secs','second','seconds') then n * interval '1 second'
    when p in ('ms','msec','msecs','msecond','mseconds','millisec','millisecs','millisecond','milliseconds','millisecon') then n * interval '1 millisecond'
    when p in ('us','microsec','microsecs','microsecond','microseconds','usecs','usec') then n * interval '1 microsecond'
    when p in ('decade','decades') then make_interval(years => 10 * n::int)
    when p in ('c','cent','cents','century','centuries') then make_interval(years => 100 * n::int)
    when p in ('mil','mils','millennium','millennia') then make_interval(years => 1000 * n::int)
  end from lower(part) p $$;
-- Month arithmetic of Redshift keeps the last day of a month the last day.
create function pg_catalog.add_months(timestamp, bigint) returns timestamp language sql immutable strict as $$
  select case when $1::date = (date_trunc('month', $1) + interval '1 month - 1 day')::date
    then date_trunc('month', $1) + make_interval(months => $2::int + 1) - interval '1 day' + ($1 - $1::date)
    else $1 + make_interval(months => $2::int) end $$;
create function pg_catalog.dateadd(text, bigint, timestamp) returns timestamp language sql immutable strict as
  $$ select $3 + pg_catalog.redshift_interval($1, $2) $$;
create function pg_catalog.dateadd(text, bigint, date) returns timestamp language sql immutable strict as
  $$ select $3::timestamp + pg_catalog.redshift_interval($1, $2) $$;
create function pg_catalog.dateadd(text, bigint, timestamptz) returns timestamptz language sql stable strict as
  $$ select $3 + pg_catalog.redshift_interval($1, $2) $$;
create function pg_catalog.dateadd(text, bigint, text) returns timestamp language sql immutable strict as
  $$ select $3::timestamp + pg_catalog.redshift_interval($1, $2) $$;
create function pg_catalog.dateadd(text, bigint, time) returns time language sql immutable strict as
  $$ select $3 + pg_catalog.redshift_interval($1, $2) $$;
create function pg_catalog.dateadd(text, numeric, timestamp) returns timestamp language sql immutable strict as
  $$ select $3 + pg_catalog.redshift_interval($1, trunc($2)::bigint) $$;
create function pg_catalog.dateadd(text, double precision, timestamp) returns timestamp language sql immutable strict as
  $$ select $3 + pg_catalog.redshift_interval($1, trunc($2)::bigint) $$;

-- Boundaries crossed between two instants, which is what Redshift counts.
create function pg_catalog.datediff(text, timestamp, timestamp) returns bigint language sql immutable strict as $$
  select case
    when p in ('y','yr','yrs','year','years') then (extract(year from b) - extract(year from a))::bigint
    when p in ('qtr','qtrs','quarter','quarters') then ((extract(year from b) - extract(year from a)) * 4 + extract(quarter from b) - extract(quarter from a))::bigint
    when p in ('mon','mons','month','months') then ((extract(year from b) - extract(year from a)) * 12 + extract(month from b) - extract(month from a))::bigint
    when p in ('w','week','weeks') then ((date_trunc('week', b + interval '1 day')::date - date_trunc('week', a + interval '1 day')::date) / 7)::bigint
    when p in ('d','day','days','dayofyear','doy','dy') then (b::date - a::date)::bigint
    when p in ('h','hr','hrs','hour','hours') then (extract(epoch from date_trunc('hour', b) - date_trunc('hour', a)) / 3600)::bigint
    when p in ('m','min','mins','minute','minutes') then (extract(epoch from date_trunc('minute', b) - date_trunc('minute', a)) / 60)::bigint
    when p in ('s','sec','secs','second','seconds') then extract(epoch from date_trunc('second', b) - date_trunc('second', a))::bigint
    when p in ('ms','msec','msecs','msecond','mseconds','millisec','millisecs','millisecond','milliseconds','millisecon') then (extract(epoch from date_trunc('milliseconds', b) - date_trunc('milliseconds', a)) * 1000)::bigint
    when p in ('us','microsec','microsecs','microsecond','microseconds','usecs','usec') then (extract(epoch from b - a) * 1000000)::bigint
    when p in ('decade','decades') then (extract(decade from b) - extract(decade from a))::bigint
    when p in ('c','cent','cents','century','centuries') then (extract(century from b) - extract(century from a))::bigint
    when p in ('mil','mils','millennium','millennia') then (extract(millennium from b) - extract(millennium from a))::bigint
  end from (select lower($1) as p, $2 as a, $3 as b) d $$;
create function pg_catalog.datediff(text, date, date) returns bigint language sql immutable strict as
  $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;
create function pg_catalog.datediff(text, timestamptz, timestamptz) returns bigint language sql immutable strict as
  $$ select pg_catalog.datediff($1, $2 at time zone 'utc', $3 at time zone 'utc') $$;
create function pg_catalog.datediff(text, text, text) returns bigint language sql immutable strict as
  $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;
create function pg_catalog.date_diff(text, timestamp, timestamp) returns bigint language sql immutable strict as
  $$ select pg_catalog.datediff($1, $2, $3) $$;
create function pg_catalog.date_diff(text, date, date) returns bigint language sql immutable strict as
  $$ select pg_catalog.datediff($1, $2::timestamp, $3::timestamp) $$;
create function pg_catalog.date_trunc(text, date) returns timestamp language sql immutable strict as
  $$ select date_trunc($1, $2::timestamp) $$;
create function pg_catalog.trunc(timestamp) returns date language sql immutable strict as $$ select $1::date $$;
create function pg_catalog.last_day(timestamp) returns date language sql immutable strict as
  $$ select (date_trunc('month', $1) + interval '1 month - 1 day')::date $$;
create function pg_catalog.last_day(date) returns date language sql immutable strict as
  $$ select (date_trunc('month', $1::timestamp) + interval '1 month - 1 day')::date $$;
create function pg_catalog.last_day(text) returns date language sql immutable strict as
  $$ select pg_catalog.last_day($1::timestamp) $$;
create function pg_catalog.months_between(timestamp, timestamp) returns double precision language sql immutable strict as $$
  select ((extract(year from $1) - extract(year from $2)) * 12 + extract(month from $1) - extract(month from $2)
    + case when extract(day from $1) = extract(day from $2)
             or ($1::date = pg_catalog.last_day($1) and $2::date = pg_catalog.last_day($2)) then 0
      else (extract(day from $1) - extract(day from $2)) / 31.0 end)::double precision $$;
create function pg_catalog.next_day(timestamp, text) returns date language sql immutable strict as $$
  select $1::date + 1 + (7 + array_position(array['su','mo','tu','we','th','fr','sa'], lower(left($2, 2))) - 1
    - extract(dow from $1)::int - 1) % 7 $$;
create function pg_catalog.convert_timezone(text, timestamp) returns timestamp language sql immutable strict as
  $$ select $2 at time zone 'utc' at time zone $1 $$;
create function pg_catalog.convert_timezone(text, timestamptz) returns timestamp language sql immutable strict as
  $$ select $2 at time zone $1 $$;
create function pg_catalog.convert_timezone(text, text, timestamp) returns timestamp language sql immutable strict as
  $$ select $3 at time zone $1 at time zone $2 $$;
create function pg_catalog.convert_timezone(text, text, timestamptz) returns timestamp language sql immutable strict as
  $$ select $3 at time zone $2 $$;

-- Text -----------------------------------------------------------------------------------------
create function pg_catalog.nvl2(anyelement, anycompatible, anycompatible) returns anycompatible language sql immutable as
  $$ select case when $1 is not null then $2 else $3 end $$;
create function pg_catalog.nvl2(text, anycompatible, anycompatible) returns anycompatible language sql immutable as
  $$ select case when $1 is not null then $2 else $3 end $$;
create function pg_catalog.len(text) returns int language sql immutable strict as $$ select char_length($1) $$;
create function pg_catalog.charindex(text, text) returns int language sql immutable strict as $$ select strpos($2, $1) $$;
create function pg_catalog.strtol(text, int) returns bigint language plpgsql immutable strict as $$
declare digit int; total bigint := 0; c text;
begin
  if $2 = 16 then return ('x' || lpad(regexp_replace($1, '^0[xX]', ''), 16, '0'))::bit(64)::bigint; end if;
  foreach c in array regexp_split_to_array(lower($1), '') loop
    digit := strpos('0123456789abcdefghijklmnopqrstuvwxyz', c) - 1;
    if digit < 0 or digit >= $2 then raise exception 'The input % is not valid to be converted to base %', $1, $2; end if;
    total := total * $2 + digit;
  end loop;
  return total;
end $$;
create function pg_catalog.sha2(text, int) returns text language sql immutable strict as $$
  select encode(case when $2 in (0, 256) then sha256(convert_to($1, 'UTF8')) when $2 = 224 then sha224(convert_to($1, 'UTF8'))
    when $2 = 384 then sha384(convert_to($1, 'UTF8')) when $2 = 512 then sha512(convert_to($1, 'UTF8')) end, 'hex') $$;
do $$ begin
  if current_setting('server_version_num')::int < 150000 then
    create function pg_catalog.regexp_count(text, text) returns int language sql immutable strict as
      'select count(*)::int from regexp_matches($1, $2, ''g'')';
    create function pg_catalog.regexp_substr(text, text) returns text language sql immutable strict as
      'select coalesce(substring($1 from $2), '''')';
  end if;
end $$;

-- JSON kept as text, and SUPER ------------------------------------------------------------------
create function pg_catalog.is_valid_json(text) returns boolean language plpgsql immutable strict as
  $$ begin return json_typeof($1::json) = 'object'; exception when others then return false; end $$;
create function pg_catalog.is_valid_json_array(text) returns boolean language plpgsql immutable strict as
  $$ begin return json_typeof($1::json) = 'array'; exception when others then return false; end $$;
create function pg_catalog.json_parse(text) returns jsonb language sql immutable strict as $$ select $1::jsonb $$;
create function pg_catalog.json_serialize(jsonb) returns text language sql immutable strict as $$ select $1::text $$;
create function pg_catalog.json_array_length(text) returns int language sql immutable strict as
  $$ select json_array_length($1::json) $$;
create function pg_catalog.get_array_length(jsonb) returns int language sql immutable strict as
  $$ select case jsonb_typeof($1) when 'array' then jsonb_array_length($1) end $$;
create function pg_catalog.json_extract_array_element_text(text, int) returns text language sql immutable strict as
  $$ select $1::json ->> $2 $$;
create function pg_catalog.json_extract_path_text(text, variadic text[]) returns text language sql immutable strict as
  $$ select $1::json #>> $2 $$;
create function pg_catalog.redshift_json_path(text, text[], boolean) returns text language plpgsql immutable as $$
begin return $1::json #>> $2; exception when invalid_text_representation then if $3 then return null; end if; raise; end $$;
create function pg_catalog.json_extract_path_text(text, text, boolean) returns text language sql immutable as
  $$ select pg_catalog.redshift_json_path($1, array[$2], $3) $$;
create function pg_catalog.json_extract_path_text(text, text, text, boolean) returns text language sql immutable as
  $$ select pg_catalog.redshift_json_path($1, array[$2, $3], $4) $$;
create function pg_catalog.json_extract_path_text(text, text, text, text, boolean) returns text language sql immutable as
  $$ select pg_catalog.redshift_json_path($1, array[$2, $3, $4], $5) $$;

-- Numbers and aggregates ------------------------------------------------------------------------
create function pg_catalog.round(double precision, int) returns double precision language sql immutable strict as
  $$ select round($1::numeric, $2)::double precision $$;
create function pg_catalog.redshift_keep_last(anyelement, anyelement) returns anyelement language sql immutable strict as $$ select $2 $$;
create function pg_catalog.redshift_keep_first(anyelement, anyelement) returns anyelement language sql immutable strict as $$ select $1 $$;
create aggregate pg_catalog.redshift_last_value(anyelement) (sfunc = pg_catalog.redshift_keep_last, stype = anyelement);
create aggregate pg_catalog.redshift_first_value(anyelement) (sfunc = pg_catalog.redshift_keep_first, stype = anyelement);
do $$ begin
  if current_setting('server_version_num')::int < 160000 then
    create aggregate pg_catalog.any_value(anyelement) (sfunc = pg_catalog.redshift_keep_first, stype = anyelement);
  end if;
end $$;
create function pg_catalog.redshift_median(double precision[]) returns double precision language sql immutable as
  $$ select percentile_cont(0.5) within group (order by v) from unnest($1) v $$;
create aggregate pg_catalog.median(double precision) (sfunc = array_append, stype = double precision[], finalfunc = pg_catalog.redshift_median, initcond = '{}');
create function pg_catalog.redshift_string_join(text, text) returns text language sql immutable as $$ select coalesce($1, '') || coalesce($2, '') $$;
create aggregate pg_catalog.listagg(text) (sfunc = pg_catalog.redshift_string_join, stype = text);
create aggregate pg_catalog.listagg(text, text) (sfunc = string_agg_transfn, stype = internal, finalfunc = string_agg_finalfn);
-- AVG of integers is a BIGINT on Redshift, cut towards zero.
create function pg_catalog.redshift_average(bigint[]) returns bigint language sql immutable strict as
  $$ select case when $1[1] = 0 then null else $1[2] / $1[1] end $$;
update pg_proc set prorettype = 'bigint'::regtype
  where oid in ('pg_catalog.avg(smallint)'::regprocedure, 'pg_catalog.avg(integer)'::regprocedure);
update pg_aggregate set aggfinalfn = 'pg_catalog.redshift_average(bigint[])'::regprocedure,
    aggmfinalfn = 'pg_catalog.redshift_average(bigint[])'::regprocedure
  where aggfnoid in ('pg_catalog.avg(smallint)'::regprocedure, 'pg_catalog.avg(integer)'::regprocedure);

-- System views ----------------------------------------------------------------------------------
create view pg_catalog.svv_tables as
  select table_catalog, table_schema, table_name,
         case when table_type = 'VIEW' then 'VIEW' else 'BASE TABLE' end as table_type, null::text as remarks
  from information_schema.tables;
create view pg_catalog.svv_columns as
  select table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type,
         character_maximum_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision,
         interval_type, interval_precision, null::text as remarks
  from information_schema.columns;
create view pg_catalog.svv_redshift_tables as
  select table_catalog as database_name, table_schema as schema_name, table_name,
         case when table_type = 'VIEW' then 'VIEW' else 'TABLE' end as table_type, null::text as table_acl, null::text as remarks
  from information_schema.tables;
create view pg_catalog.svv_all_tables as select * from pg_catalog.svv_redshift_tables;
create view pg_catalog.svv_redshift_columns as
  select table_catalog as database_name, table_schema as schema_name, table_name, column_name, ordinal_position, data_type,
         column_default, is_nullable, null::text as encoding, false as distkey, 0 as sortkey, null::text as column_acl, null::text as remarks
  from information_schema.columns;
create view pg_catalog.svv_all_columns as select * from pg_catalog.svv_redshift_columns;
create view pg_catalog.pg_table_def as
  select n.nspname as schemaname, c.relname as tablename, a.attname as "column", format_type(a.atttypid, a.atttypmod) as type,
         'none'::text as encoding, false as distkey, 0 as sortkey, a.attnotnull as "notnull"
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p');
create view pg_catalog.svv_table_info as
  select current_database()::text as database, n.nspname::text as schema, c.oid as table_id, c.relname::text as "table",
         'N'::text as encoded, 'AUTO(ALL)'::text as diststyle, 'AUTO(SORTKEY)'::text as sortkey1,
         (pg_relation_size(c.oid) / 1048576)::bigint as size, c.reltuples::numeric as tbl_rows
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast');
reset allow_system_table_mods;
